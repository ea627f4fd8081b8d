// Files in stereo: a name's encoder takes a job and its samples in parts (mix.js), integers of 16 bits, and gives the file's
// bytes in consecutive parts.

export const ENCODERS = { wav, flac };

// Of `bits` per sample, 16 or 24.
export async function* wav({ n_samples: nSamples, sample_rate: rate }, parts, bits = 16) {
  const nBytes = bits / 8;
  yield wavHeader(nSamples, rate, bits);
  for await (const samples of parts) {
    const packed = new Uint8Array(nBytes * samples.length);
    for (let i = 0, to = 0; i < samples.length; i++) for (let byte = 0; byte < nBytes; byte++) packed[to++] = samples[i] >> (8 * byte);
    yield packed;
  }
}

function wavHeader(nSamples, rate, bits) {
  const view = new DataView(new ArrayBuffer(44));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  const frame = bits / 4; // bytes of a sample of both channels
  text(0, "RIFF");
  view.setUint32(4, 36 + frame * nSamples, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // integers
  view.setUint16(22, 2, true); // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, frame * rate, true); // bytes per second
  view.setUint16(32, frame, true);
  view.setUint16(34, bits, true);
  text(36, "data");
  view.setUint32(40, frame * nSamples, true);
  return new Uint8Array(view.buffer);
}

// libFLAC, in a worker of its own; the library is loaded when it is first wanted. Its header, with the checksum of all
// samples, is known last, so that the file comes in one part.
async function* flac({ sample_rate: sampleRate }, parts) {
  const { AudioSample, AudioSampleSource, BufferTarget, FlacOutputFormat, Output, registerFlacEncoder } = await import("./vendor/flac.js");
  registerFlacEncoder();
  const output = new Output({ format: new FlacOutputFormat(), target: new BufferTarget() });
  const track = new AudioSampleSource({ codec: "flac" });
  output.addAudioTrack(track);
  await output.start();
  let place = 0;
  for await (const data of parts) {
    const sample = new AudioSample({ data, format: "s16", numberOfChannels: 2, sampleRate, timestamp: place / sampleRate });
    await track.add(sample);
    sample.close();
    place += data.length / 2;
  }
  await output.finalize();
  yield new Uint8Array(output.target.buffer);
}

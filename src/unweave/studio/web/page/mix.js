// A mix of stems as a wav file of 16 bits, and all stems in one archive: made from the pieces on disk, a few seconds at a
// time, so that memory stays small.

import { Zip, ZipPassThrough } from "./vendor/zip.js";

const AT_ONCE = 1 << 17; // samples
const SILENCE_DB = -60; // what a fader at its lowest means

// What the query of an address says of a mix (addresses.js): as unweave/separation/remix.py has it.
export function readMix(query) {
  const numbers = (name) => Object.fromEntries(query.getAll(name).map((text) => {
    const at = text.lastIndexOf(":");
    return [text.slice(0, at), Number(text.slice(at + 1))];
  }));
  return { gains: numbers("gain"), pans: numbers("pan"), mute: query.getAll("mute"), solo: query.getAll("solo") };
}

export function isHeard({ gains, mute, solo }, stem) {
  return !mute.includes(stem) && (!solo.length || solo.includes(stem)) && (gains[stem] ?? 0) > SILENCE_DB;
}

// The bytes of a wav file, in consecutive parts. read(stem's number, start, count) → [left, right].
export async function* wav({ stems, n_samples: nSamples, sample_rate: rate }, mix, read) {
  yield header(nSamples, rate);
  const heard = stems.map((stem, number) => ({ stem, number })).filter(({ stem }) => isHeard(mix, stem));
  for (let start = 0; start < nSamples; start += AT_ONCE) {
    const count = Math.min(AT_ONCE, nSamples - start);
    const sums = [new Float32Array(count), new Float32Array(count)];
    for (const { stem, number } of heard) {
      const gain = 10 ** ((mix.gains[stem] ?? 0) / 20);
      const pan = mix.pans[stem] ?? 0;
      const sides = await read(number, start, count);
      sides.forEach((side, channel) => {
        const weight = gain * Math.min(1, channel ? 1 + pan : 1 - pan);
        for (let i = 0; i < side.length; i++) sums[channel][i] += side[i] * weight;
      });
    }
    const packed = new DataView(new ArrayBuffer(4 * count));
    for (let i = 0; i < 2 * count; i++) {
      const level = Math.round(sums[i & 1][i >> 1] * 32768);
      packed.setInt16(2 * i, Math.max(-32768, Math.min(32767, level)), true);
    }
    yield new Uint8Array(packed.buffer);
  }
}

function header(nSamples, rate) {
  const view = new DataView(new ArrayBuffer(44));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 4 * nSamples, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // integers
  view.setUint16(22, 2, true); // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, 4 * rate, true); // bytes per second
  view.setUint16(32, 4, true); // bytes per sample of both channels
  view.setUint16(34, 16, true); // bits
  text(36, "data");
  view.setUint32(40, 4 * nSamples, true);
  return new Uint8Array(view.buffer);
}

// The bytes of an archive of all stems, uncompressed, in consecutive parts.
export async function* zip(job, folder, read) {
  const ready = [];
  const archive = new Zip((error, bytes) => { if (error) throw error; ready.push(bytes); });
  for (const stem of job.stems) {
    const file = new ZipPassThrough(`${folder}/${stem}.wav`);
    archive.add(file);
    for await (const bytes of wav(job, readMix(new URLSearchParams({ solo: stem })), read)) {
      file.push(bytes);
      yield* ready.splice(0);
    }
    file.push(new Uint8Array(0), true);
  }
  archive.end();
  yield* ready.splice(0);
}

// A song's name without its extension, fit for any file system (unweave/studio/export.py).
export function safeName(name) {
  const base = name.replace(/.*[\\/]/, "").replace(/(?<=.)\.[^.]*$/, "");
  return base.replace(/[^\p{L}\p{N}_\- .()&']/gu, "_").replace(/^[ .]+|[ .]+$/g, "").slice(0, 100) || "song";
}

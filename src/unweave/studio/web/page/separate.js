// A whole song, segment by segment, in bounded memory: what unweave/families/masking.py and unweave/separation do.

import { fadeWeights, ratioMasks } from "./masks.js";
import { StereoTransform } from "./transform.js";

// Where segments lie: number k covers samples [k · hop − lead, k · hop − lead + length) of the song.
export function segmentation({ n_fft: nFft, hop_length: hopLength, n_frames: nFrames }, nShared) {
  return { length: (nFrames - 1) * hopLength + nFft, hop: (nFrames - nShared) * hopLength, lead: nFft };
}

export const countSegments = (nSamples, { hop, lead }) => (nSamples ? Math.ceil((nSamples + lead) / hop) : 0);

// Yields the stems from beginning to end, in consecutive parts: { start, share, stems: [[left, right], …] }, with `share`
// from 0 to 1 of the song done.
//   read(start, count)    → [left, right], samples of the song
//   estimate(magnitudes)  → the network's estimates (its stems, 2, frames, bins) of magnitudes (2, frames, bins)
//   model                 one of models.json, which unweave/studio/web/export.py writes from the catalogue
//   nShared               frames that are cross-faded between segments
//   FFT                   the class of the library fft.js
export async function* separate({ read, nSamples, estimate, model, nShared, FFT }) {
  const places = segmentation(model, nShared);
  const nSegments = countSegments(nSamples, places);
  const transform = new StereoTransform(FFT, model);
  const space = workspace(model, transform.nBins);
  let tails = null; // of each stem and channel: what the next segment is added to
  for (let number = 0; number < nSegments; number++) {
    const first = number * places.hop - places.lead;
    const mixture = await readSegment(read, first, places.length, nSamples);
    analyse(transform, mixture, model, space);
    const estimates = await estimate(space.magnitudes);
    const stems = synthesise(transform, estimates, model, space, fadeWeights(model.n_frames, nShared, number === 0), places);
    if (tails) stems.flat().forEach((channel, i) => tails[i].forEach((sample, at) => { channel[at] += sample; }));
    tails = stems.flat().map((channel) => channel.slice(places.hop));
    const start = Math.max(0, first);
    const stop = Math.min(nSamples, first + places.hop);
    const part = (channel) => channel.slice(start - first, stop - first);
    const parts = stems.map((channels) => channels.map(part));
    addRest(parts, mixture.map(part), model.stems.indexOf(model.rest));
    yield { start, share: (number + 1) / nSegments, stems: parts };
  }
}

function workspace({ n_frames: nFrames, n_bins: nSeen, stems }, nBins) {
  return {
    spectrum: { left: new Float32Array(2 * nFrames * nBins), right: new Float32Array(2 * nFrames * nBins) },
    magnitudes: new Float32Array(2 * nFrames * nSeen),
    masks: [0, 1].map(() => stems.map(() => new Float32Array(nBins))),
  };
}

// Before and after the song there is silence.
async function readSegment(read, first, length, nSamples) {
  const start = Math.max(0, first);
  const count = Math.max(0, Math.min(nSamples, first + length) - start);
  const given = count ? await read(start, count) : [new Float32Array(0), new Float32Array(0)];
  return given.map((channel) => {
    const segment = new Float32Array(length);
    segment.set(channel, start - first);
    return segment;
  });
}

function analyse(transform, mixture, { n_frames: nFrames, hop_length: hop, n_bins: nSeen }, { spectrum, magnitudes }) {
  for (let frame = 0; frame < nFrames; frame++) {
    const at = 2 * frame * transform.nBins;
    transform.analyse(mixture, frame * hop, spectrum, at);
    [spectrum.left, spectrum.right].forEach((side, channel) => {
      const place = (channel * nFrames + frame) * nSeen;
      for (let k = 0; k < nSeen; k++) magnitudes[place + k] = Math.sqrt(side[at + 2 * k] ** 2 + side[at + 2 * k + 1] ** 2);
    });
  }
}

function synthesise(transform, estimates, model, { spectrum, masks }, weights, { length }) {
  const { n_frames: nFrames, n_bins: nSeen, hop_length: hop, groups } = model;
  const stems = model.stems.map(() => [new Float32Array(length), new Float32Array(length)]);
  const stride = 2 * nFrames * nSeen; // from one of the network's stems to the next
  for (let frame = 0; frame < nFrames; frame++) {
    for (const channel of [0, 1]) ratioMasks(estimates, stride, (channel * nFrames + frame) * nSeen, nSeen, groups, masks[channel]);
    stems.forEach((sides, stem) => {
      transform.addFrame(spectrum, 2 * frame * transform.nBins, masks[0][stem], masks[1][stem], weights[frame], sides, frame * hop);
    });
  }
  return stems;
}

// What the stems lack of the mixture goes to the one that stands for the rest.
function addRest(stems, mixture, rest) {
  mixture.forEach((channel, side) => {
    for (let i = 0; i < channel.length; i++) {
      let missing = channel[i];
      for (const stem of stems) missing -= stem[side][i];
      stems[rest][side][i] += missing;
    }
  });
}

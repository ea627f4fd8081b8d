// A mix of stems, and all stems in one archive: made from the pieces on disk, a few seconds at a time, so that memory stays
// small. `encode` is one of encode.js.

import { Zip, ZipPassThrough } from "./vendor/zip.js";

const AT_ONCE = 1 << 17; // samples
const SILENCE_DB = -60; // what a fader at its lowest means

// What the query of an address says of a mix (addresses.js): as unweave/separation/mix.py has it.
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

// The mix in 16 bits, a few seconds at a time: left and right in turn. read(stem's number, start, count) → [left, right].
export async function* mixed({ stems, n_samples: nSamples }, mix, read) {
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
    yield Int16Array.from({ length: 2 * count }, (_, i) => Math.max(-32768, Math.min(32767, Math.round(sums[i & 1][i >> 1] * 32768))));
  }
}

// The bytes of an archive of all stems, uncompressed, in consecutive parts.
export async function* zip(job, folder, format, encode, read) {
  const ready = [];
  const archive = new Zip((error, bytes) => { if (error) throw error; ready.push(bytes); });
  for (const stem of job.stems) {
    const file = new ZipPassThrough(`${folder}/${stem}.${format}`);
    archive.add(file);
    for await (const bytes of encode(job, mixed(job, readMix(new URLSearchParams({ solo: stem })), read))) {
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

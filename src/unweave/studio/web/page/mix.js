// A mix of stems, and all stems in one archive: made from the pieces on disk, a few seconds at a time, so that memory stays
// small. `encode` is one of encode.js; read(stem's number, start, count) gives [left, right].

import { SILENCE_DB } from "./queries.js";
import { areEqual, N_FFT, NEUTRAL, Resharer } from "./sensitivity.js";
import FFT from "./vendor/fft.js";
import { Zip, ZipPassThrough } from "./vendor/zip.js";

const AT_ONCE = 1 << 17; // samples
const MOST_BYTES_OF_A_NAME = 200; // of 255 that file systems take, with an extension

// A mix of one stem, which holds what its sensitivity in `mix`, and those of the others, let it have.
export const alone = ({ sensitivities }, stem) => ({ gains: {}, pans: {}, sensitivities, mute: [], solo: [stem] });

export function isHeard({ gains, mute, solo }, stem) {
  return !mute.includes(stem) && (!solo.length || solo.includes(stem)) && (gains[stem] ?? 0) > SILENCE_DB;
}

const valuesOf = ({ stems }, { sensitivities }) => stems.map((stem) => sensitivities[stem] ?? NEUTRAL);

// Whether the stems of a mix are others than those that were separated.
export const hasSensitivities = (job, mix) => !areEqual(valuesOf(job, mix));

// Some of the stems, by their numbers, with the sensitivities of a mix, in consecutive parts: { count, sides }, where sides
// has [left, right] of each number.
export async function* sound(job, mix, numbers, read) {
  const { stems, n_samples: nSamples } = job;
  const resharer = hasSensitivities(job, mix) ? new Resharer(FFT, valuesOf(job, mix), (number) => numbers.includes(number)) : null;
  const early = resharer ? N_FFT : 0; // samples that come out before the first of the song
  for (let start = 0; start < nSamples + early; start += AT_ONCE) {
    const count = Math.min(AT_ONCE, nSamples + early - start);
    const nGiven = Math.max(0, Math.min(count, nSamples - start));
    const given = (each) => Promise.all(each.map((number) => read(number, start, nGiven)));
    if (!resharer) {
      yield { count, sides: await given(numbers) };
      continue;
    }
    const made = stems.map(() => [new Float32Array(count), new Float32Array(count)]);
    resharer.push(await given([...stems.keys()]), made, count);
    const skipped = start ? 0 : early;
    yield { count: count - skipped, sides: numbers.map((number) => made[number].map((side) => side.subarray(skipped))) };
  }
}

// The mix in integers of so many bits, a few seconds at a time: left and right in turn.
export async function* mixed(job, mix, read, bits = 16) {
  const numbers = [...job.stems.keys()].filter((number) => isHeard(mix, job.stems[number]));
  const weights = numbers.map((number) => {
    const gain = 10 ** ((mix.gains[job.stems[number]] ?? 0) / 20);
    const pan = mix.pans[job.stems[number]] ?? 0;
    return [gain * Math.min(1, 1 - pan), gain * Math.min(1, 1 + pan)];
  });
  const top = 2 ** (bits - 1);
  const Integers = bits > 16 ? Int32Array : Int16Array;
  for await (const { count, sides } of sound(job, mix, numbers, read)) {
    const sums = [new Float32Array(count), new Float32Array(count)];
    sides.forEach((stem, index) => stem.forEach((side, channel) => {
      const weight = weights[index][channel];
      for (let i = 0; i < side.length; i++) sums[channel][i] += side[i] * weight;
    }));
    const whole = new Integers(2 * count);
    for (let i = 0; i < 2 * count; i++) whole[i] = Math.max(-top, Math.min(top - 1, Math.round(sums[i & 1][i >> 1] * top)));
    yield whole;
  }
}

// The bytes of an archive of `files`, uncompressed, in consecutive parts: [name, the file's bytes in parts] each.
export async function* archived(files) {
  const ready = [];
  const archive = new Zip((error, bytes) => { if (error) throw error; ready.push(bytes); });
  for (const [name, parts] of files) {
    const file = new ZipPassThrough(name);
    archive.add(file);
    for await (const bytes of parts) {
      file.push(bytes);
      yield* ready.splice(0);
    }
    file.push(new Uint8Array(0), true);
  }
  archive.end();
  yield* ready.splice(0);
}

// All stems in one archive.
export const zip = (job, mix, read, folder, format, encode) =>
  archived(job.stems.map((stem) => [`${folder}/${stem}.${format}`, encode(job, mixed(job, alone(mix, stem), read))]));

// What Windows takes for a device, with any extension.
const DEVICES = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?$/i;

// A song's name without its extension, fit for any file system (unweave/studio/export.py, which says why).
export function safeName(name) {
  const base = name.replace(/[^]*[\\/]/, "").replace(/(?<=.)\.[^.]*$/, "").normalize("NFC");
  const kept = [...base.replace(/[^\p{L}\p{M}\p{N}_\- .()&']/gu, "_")].slice(0, 100).join("");
  const bytes = new TextEncoder().encode(kept).slice(0, MOST_BYTES_OF_A_NAME);
  const short = new TextDecoder().decode(bytes, { stream: true }).replace(/^[ .]+|[ .]+$/g, "") || "song";
  return DEVICES.test(short) ? `_${short}` : short;
}

// node separate.mjs SITE MODELS MODEL QUALITY MIXTURE STEMS: what the page's worker does with a song. SITE is a folder that
// `unweave web` exported, MODELS a file like its models.json. MIXTURE and STEMS are raw float32, the left channel,
// then the right one, stem after stem.

import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [, , site, modelsPath, name, quality, mixturePath, stemsPath] = process.argv;
const from = (path) => import(pathToFileURL(`${site}/${path}`).href);
const { openNetwork } = await from("network.js");
const { separate } = await from("separate.js");
const { default: FFT } = await from("vendor/fft.js");

const { models } = JSON.parse(readFileSync(modelsPath, "utf8"));
const model = models.find((each) => each.name === name);
const samples = new Float32Array(new Uint8Array(readFileSync(mixturePath)).buffer);
const nSamples = samples.length / 2;
const read = async (start, count) => [0, nSamples].map((at) => samples.slice(at + start, at + start + count));
const wasm = readFileSync(`${site}/vendor/ort-wasm-simd-threaded.wasm`);
const estimate = await openNetwork(new Uint8Array(readFileSync(`${site}/network.onnx`)), model, { wasm });

const all = new Float32Array(2 * nSamples * model.stems.length);
for await (const part of separate({ read, nSamples, estimate, model, nShared: model.overlap_frames[quality], FFT })) {
  part.stems.flat().forEach((channel, i) => all.set(channel, i * nSamples + part.start));
}
writeFileSync(stemsPath, all);

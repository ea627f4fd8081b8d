// The network in ONNX Runtime: WebAssembly, on several threads where the page is isolated from other sites.

import * as ort from "./vendor/ort.wasm.bundle.min.mjs";

const MOST_THREADS = 4; // the rest of the processors are left to the sound and to other programs

// Loads the network from its bytes. Gives estimate(magnitudes) for `model`: see separate.js.
export async function openNetwork(bytes, model, { wasm } = {}) {
  const isIsolated = globalThis.crossOriginIsolated ?? false;
  ort.env.wasm.numThreads = isIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency ?? 1) : 1;
  ort.env.logLevel = "error";
  if (wasm) ort.env.wasm.wasmBinary = wasm;
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"], enableMemPattern: false, logSeverityLevel: 3 });
  const [input] = session.inputNames;
  const [output] = session.outputNames;
  const shape = [1, 2, model.n_frames, model.n_bins];
  return async (magnitudes) => {
    const results = await session.run({ [input]: new ort.Tensor("float32", magnitudes, shape) });
    return results[output].data;
  };
}

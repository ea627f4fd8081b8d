// Separates a song, away from the page's own thread, which stays free for sound. In comes
// { kind: "separate", model, nShared, nSamples }; the worker asks for samples ({ kind: "read", start, count }) and is sent
// { kind: "samples", channels }; out come parts ({ kind: "part", start, share, stems }) and { kind: "done" }, or
// { kind: "failed", code, values }. A song is cancelled by ending the worker.

import { openNetwork } from "./network.js";
import { asRefused, refused } from "./refused.js";
import { separate } from "./separate.js";
import FFT from "./vendor/fft.js";

let answer = null;

function read(start, count) {
  return new Promise((resolve) => {
    answer = resolve;
    postMessage({ kind: "read", start, count });
  });
}

async function load(model) {
  const response = await fetch("network.onnx").catch(() => null);
  if (!response?.ok) throw refused("no_download");
  return openNetwork(new Uint8Array(await response.arrayBuffer()), model);
}

async function run({ model, nShared, nSamples }) {
  const network = await load(model);
  for await (const part of separate({ read, nSamples, estimate: network, model, nShared, FFT })) {
    postMessage({ kind: "part", ...part }, part.stems.flat().map(({ buffer }) => buffer));
  }
  postMessage({ kind: "done" });
}

onmessage = ({ data }) => {
  if (data.kind === "samples") answer(data.channels);
  else {
    run(data).catch((error) => {
      const { code, values } = asRefused(error);
      postMessage({ kind: "failed", code, values });
    });
  }
};

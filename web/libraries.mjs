// Puts what the pages need of node_modules where they, `unweave web` and the wheel take it from, with the licences: the
// libraries of the studio's page, which the web edition shares, and those of the web edition alone.

import { build } from "esbuild";
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const MODULES = fileURLToPath(new URL("node_modules/", import.meta.url));
const STUDIO = fileURLToPath(new URL("../src/unweave/studio/page/vendor/", import.meta.url));
const TARGET = fileURLToPath(new URL("../src/unweave/studio/web/page/vendor/", import.meta.url));
const STAGED = fileURLToPath(new URL("build/", import.meta.url));
const RUNTIME = ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"];
const PACKAGES = { "onnxruntime-web": RUNTIME, fflate: ["zip.js"], mediabunny: ["flac.js"], "@mediabunny/flac-encoder": ["flac.js"] };

begin();
// The runtime finds its own files, and starts its threads, by its own address: it stays as it is.
for (const name of RUNTIME) copyFileSync(`${MODULES}onnxruntime-web/dist/${name}`, STAGED + name);
const bundle = (contents, outfile) =>
  build({ stdin: { contents, resolveDir: MODULES }, bundle: true, format: "esm", minify: true, legalComments: "inline", outfile: STAGED + outfile });
await bundle('export { Zip, ZipPassThrough } from "fflate";', "zip.js");
await bundle(
  'export { AudioSample, AudioSampleSource, BufferTarget, FlacOutputFormat, Output } from "mediabunny";' +
    'export { registerFlacEncoder } from "@mediabunny/flac-encoder";',
  "flac.js",
);

publish(PACKAGES, TARGET, [`libFLAC, inside @mediabunny/flac-encoder\n\n${ownCopy("libFLAC")}`]);

begin();
// A mistake of version 1.3.2: whatever lies across two of its buffers is read from the wrong places, or not at all.
const stretch = readFileSync(`${MODULES}signalsmith-stretch/SignalsmithStretch.mjs`, "utf8");
const mended = stretch.replace(/audioSamples \+= count;(\s+)blockSamples \+= count;/, "inputSamples += count;$1audioSamples += audioBuffer[0].length;$1blockSamples += count;");
if (mended === stretch) throw new Error("signalsmith-stretch has changed: does it still need to be mended?");
writeFileSync(`${STAGED}stretch.js`, mended);
await bundle('export { default } from "fft.js";', "fft.js");
publish({ "signalsmith-stretch": ["stretch.js"], "fft.js": ["fft.js"] }, STUDIO);

function begin() {
  rmSync(STAGED, { recursive: true, force: true });
  mkdirSync(STAGED, { recursive: true });
}

function publish(packages, target, more = []) {
  const licences = Object.entries(packages).map(([name, files]) => {
    const { version, license, homepage, repository } = JSON.parse(readFileSync(`${MODULES}${name}/package.json`, "utf8"));
    return `${name} ${version} (${files.join(", ")})\n${homepage ?? repository?.url ?? ""}\nLicence: ${license}\n\n${licenceOf(name)}`;
  });
  writeFileSync(`${STAGED}licences.txt`, [...licences, ...more].join(`\n\n${"-".repeat(80)}\n\n`));
  rmSync(target, { recursive: true, force: true });
  renameSync(STAGED, target);
}

function ownCopy(name) {
  return readFileSync(new URL(`licences/${name}.txt`, import.meta.url), "utf8").trim();
}

// The text of a package's licence: a file of its own, of ours where it lacks one, or the end of its README.
function licenceOf(name) {
  const ours = fileURLToPath(new URL(`licences/${name}.txt`, import.meta.url));
  for (const path of [...["LICENSE", "LICENSE.md", "LICENCE"].map((file) => `${MODULES}${name}/${file}`), ours]) {
    try {
      return readFileSync(path, "utf8").trim();
    } catch { /* the next name */ }
  }
  const readme = readFileSync(`${MODULES}${name}/README.md`, "utf8");
  const start = readme.search(/^#+ *LICEN[SC]E/im);
  return start < 0 ? "" : readme.slice(start).trim();
}

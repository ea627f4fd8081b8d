// Puts what the page needs of node_modules where `unweave web` and the wheel take it from, with the licences.

import { build } from "esbuild";
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const MODULES = fileURLToPath(new URL("node_modules/", import.meta.url));
const TARGET = fileURLToPath(new URL("../src/unweave/studio/web/page/vendor/", import.meta.url));
const STAGED = fileURLToPath(new URL("build/", import.meta.url));
const RUNTIME = ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"];
const PACKAGES = { "onnxruntime-web": RUNTIME, "fft.js": ["fft.js"], fflate: ["zip.js"], mediabunny: ["flac.js"], "@mediabunny/flac-encoder": ["flac.js"] };

rmSync(STAGED, { recursive: true, force: true });
mkdirSync(STAGED, { recursive: true });
// The runtime finds its own files, and starts its threads, by its own address: it stays as it is.
for (const name of RUNTIME) copyFileSync(`${MODULES}onnxruntime-web/dist/${name}`, STAGED + name);
const bundle = (contents, outfile) =>
  build({ stdin: { contents, resolveDir: MODULES }, bundle: true, format: "esm", minify: true, legalComments: "inline", outfile: STAGED + outfile });
await bundle('export { default } from "fft.js";', "fft.js");
await bundle('export { Zip, ZipPassThrough } from "fflate";', "zip.js");
await bundle(
  'export { AudioSample, AudioSampleSource, BufferTarget, FlacOutputFormat, Output } from "mediabunny";' +
    'export { registerFlacEncoder } from "@mediabunny/flac-encoder";',
  "flac.js",
);

const licences = Object.entries(PACKAGES).map(([name, files]) => {
  const { version, license, homepage } = JSON.parse(readFileSync(`${MODULES}${name}/package.json`, "utf8"));
  return `${name} ${version} (${files.join(", ")})\n${homepage ?? ""}\nLicence: ${license}\n\n${licenceOf(name)}`;
});
licences.push(`libFLAC, inside @mediabunny/flac-encoder\n\n${readFileSync(new URL("licences/libFLAC.txt", import.meta.url), "utf8").trim()}`);
writeFileSync(`${STAGED}licences.txt`, licences.join(`\n\n${"-".repeat(80)}\n\n`));
rmSync(TARGET, { recursive: true, force: true });
renameSync(STAGED, TARGET);

// The text of a package's licence: a file of its own, or the end of its README.
function licenceOf(name) {
  for (const file of ["LICENSE", "LICENSE.md", "LICENCE"]) {
    try {
      return readFileSync(`${MODULES}${name}/${file}`, "utf8").trim();
    } catch { /* the next name */ }
  }
  const readme = readFileSync(`${MODULES}${name}/README.md`, "utf8");
  const start = readme.search(/^#+ *LICEN[SC]E/im);
  return start < 0 ? "" : readme.slice(start).trim();
}

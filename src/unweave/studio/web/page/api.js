// What the studio's server does (studio/page/api.js), in the browser itself: the same names, jobs and refusals.

import * as daw from "./daw.js";
import * as database from "./database.js";
import { ENCODERS } from "./encode.js";
import { isHeard, mixed, safeName, zip } from "./mix.js";
import { readFormat, readMix, readTempo } from "./queries.js";
import { enqueue, inOrder, onWaiting, tell, watch } from "./queue.js";
import { refused } from "./refused.js";
import { clear, withShared } from "./shared.js";
import { drawSpectrogram } from "./spectrogram.js";

export { mixAddress, projectAddress, stemAddress, zipAddress } from "./addresses.js";
export { watch };

export const FORMATS = Object.keys(ENCODERS);
export const PROJECTS = Object.keys(daw.PROJECTS);

const card = fetch("models.json").then((response) => response.json());
const pictures = new Map();

export async function models() {
  if (!globalThis.isSecureContext) throw refused("insecure"); // there are no locks between tabs then, for one
  const measured = {};
  for (const { state, model, seconds, run_seconds } of await database.jobs()) {
    if (state === "done") (measured[model] ??= []).push(seconds / run_seconds);
  }
  const median = (values) => values?.sort((a, b) => a - b)[values.length >> 1];
  return (await card).models.map((model) => ({ ...model, here: true, times_real_time: median(measured[model.name]) }));
}

export const qualities = async () => (await card).qualities;

export async function jobs() {
  return (await database.jobs()).sort((one, other) => other.created - one.created);
}

export async function job(id) {
  return (await database.job(id)) ?? Promise.reject(refused("no_job"));
}

export async function upload(file, model, quality) {
  if (!file.size) throw refused("empty");
  const id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const added = {
    id, name: file.name, model, quality, state: "queued", turn: await nextTurn(), created: Date.now() / 1000, stems: [], sample_rate: 0, n_samples: 0,
    seconds: 0, progress: 0, seconds_left: null, error: "", error_code: "", error_values: {}, run_seconds: 0,
  };
  await kept(database.add(added, file));
  return tell(added);
}

const nextTurn = async () => 1 + Math.max(0, ...(await database.jobs()).map(({ turn }) => turn ?? 0));

// The browser may clear what it was not asked to keep.
async function kept(writing) {
  await writing.catch((error) => { throw error.name === "QuotaExceededError" ? refused("disk_full") : error; });
  navigator.storage?.persist?.();
}

const begin = async () => enqueue((await card).models);
onWaiting(begin);

export async function cancel(id) {
  const cancelled = await database.change(id, { state: "cancelled", n_samples: 0, seconds_left: null }, ["queued", "running"]);
  if (!cancelled) throw refused("ended");
  await database.forgetPieces(id);
  return tell(cancelled);
}

// To `place` of the songs that wait, 0 being the next.
export async function move(id, place) {
  const waiting = inOrder((await database.jobs()).filter(({ state }) => state === "queued"));
  const moved = waiting.find((each) => each.id === id);
  if (!moved) throw refused("not_waiting");
  const others = waiting.filter((each) => each !== moved);
  let turn = waiting[0].turn;
  for (const { id: each } of [...others.slice(0, place), moved, ...others.slice(place)]) await database.change(each, { turn: ++turn }, ["queued"]);
  return job(id);
}

export async function retry(id) {
  const again = await database.change(id, { state: "queued", turn: await nextTurn(), n_samples: 0, progress: 0, error: "" }, ["failed", "cancelled"]);
  if (!again) throw refused("not_ended");
  return tell(again);
}

export async function remove(id) {
  await database.remove(id);
  tell({ id, state: "deleted" });
}

async function place(id, stem) {
  const found = await job(id);
  const number = found.stems.indexOf(stem);
  if (number < 0) throw refused("no_stem");
  return [found, number];
}

export async function samples(id, stem, start, count) {
  const [{ n_samples: ready }, number] = await place(id, stem);
  return database.samples(id, number, start, Math.max(0, Math.min(count, ready - start)));
}

export async function peaks(id, stem, points) {
  const [, number] = await place(id, stem);
  const heights = (await database.pieces(id, number)).flatMap((piece) => [...piece.heights]);
  return Array.from({ length: points }, (_, point) => {
    const first = Math.floor((point * heights.length) / points);
    const stop = Math.max(first + 1, Math.floor(((point + 1) * heights.length) / points));
    return Math.max(0, ...heights.slice(first, stop));
  });
}

export async function picture(id, stem) {
  const [found, number] = await place(id, stem);
  const key = `${id} ${stem}`;
  if (!pictures.has(key)) pictures.set(key, drawSpectrogram(found, await database.pieces(id, number)).then(URL.createObjectURL));
  return pictures.get(key);
}

// Makes the file that an address of addresses.js names, and gives it to the user.
export async function save(address) {
  const { pathname, searchParams } = new URL(address);
  const [, id, what] = /jobs\/([^/]+)\/(.*)$/.exec(pathname);
  const found = await job(id);
  if (found.state !== "done") throw refused("not_done");
  const read = (number, start, count) => database.samples(id, number, start, count);
  const name = safeName(found.name);
  const format = readFormat(searchParams, what === "project" ? daw.PROJECTS : ENCODERS);
  const encode = ENCODERS[format];
  const mix = readMix(searchParams, found.stems);
  if (what === "project") {
    const tempo = readTempo(searchParams);
    return kept(withShared(found, mix, read, async (...shared) => {
      const { file, parts } = await daw.PROJECTS[format](found, ...shared, name, tempo, await card);
      await give(parts, file, "application/zip");
    }));
  }
  if (what === "stems.zip") {
    return kept(withShared(found, mix, read, (...shared) => give(zip(found, ...shared, name, format, encode), `${name} (stems).zip`, "application/zip")));
  }
  const heard = found.stems.filter((stem) => isHeard(mix, stem)).join(" + ") || "silence";
  return give(encode(found, mixed(found, mix, read)), `${name} (${heard}).${format}`, `audio/${format}`);
}

// Each part becomes a blob of its own, which the browser may put on disk.
async function give(parts, name, type) {
  const blobs = [];
  for await (const bytes of parts) blobs.push(new Blob([bytes]));
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(new Blob(blobs, { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// Songs that were not finished when the page was closed are taken up again, and files that were being made leave nothing.
async function takeUp() {
  const all = await database.jobs();
  for (const { state } of all) if (["queued", "running"].includes(state)) begin();
  await Promise.all(all.map(clear));
}

takeUp().catch(() => {}); // the page says what is wrong when it asks for the songs itself
navigator.serviceWorker?.register("sw.js", { updateViaCache: "none" }).catch(() => {}); // without it the page needs the network

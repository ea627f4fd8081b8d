// Songs and stems in the browser's own database, which keeps them on disk: the page's memory stays small.
//   jobs     id → the job, as the studio's API describes it
//   sources  id → the file that was dropped
//   pieces   [id, stem's number, first sample] → { samples: Blob of float32 (the left channel, then the right), n_samples,
//            heights: the largest magnitude of each STRIDE samples }; of the song itself, as stem number SONG, while it is separated; of
//            stems shared anew (shared.js), number SHARED and below, while they are saved

import { refused } from "./refused.js";

export const STRIDE = 1024;
export const SONG = -1;
export const SHARED = -2;

let opened = null;

const done = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

function open() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("unweave", 1);
    request.onupgradeneeded = () => {
      for (const name of ["jobs", "sources", "pieces"]) request.result.createObjectStore(name);
    };
    request.onsuccess = () => {
      request.result.onclose = () => { opened = null; }; // by the browser, as some do with pages in the background
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
  }).catch(() => { throw refused("no_storage"); });
  return opened;
}

const ofJob = (id) => IDBKeyRange.bound([id], [id, []]);

// Runs `work(store, …)` in one transaction, which happens as a whole or not at all.
async function within(names, mode, work) {
  const transaction = (await open()).transaction(names, mode);
  const ended = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error ?? new Error("aborted"));
  });
  const result = await work(...names.map((name) => transaction.objectStore(name)));
  if (mode === "readwrite") await ended;
  return result;
}

export const jobs = () => within(["jobs"], "readonly", (store) => done(store.getAll()));
export const job = (id) => within(["jobs"], "readonly", (store) => done(store.get(id)));
export const source = (id) => within(["sources"], "readonly", (store) => done(store.get(id)));

export const add = (job, file) => within(["jobs", "sources"], "readwrite", (jobStore, sources) => {
  sources.put(file, job.id);
  jobStore.put(job, job.id);
});

// Gives the changed job; nothing where it was deleted, or where it is not in one of the given states any more.
export const change = (id, changes, states = null) => within(["jobs"], "readwrite", async (store) => {
  const now = await done(store.get(id));
  if (!now || (states && !states.includes(now.state))) return null;
  const changed = { ...now, ...changes };
  store.put(changed, id);
  return changed;
});

// The next part of all stems, and the job that tells of it.
export const append = (id, start, pieces, changes) => within(["jobs", "pieces"], "readwrite", async (store, all) => {
  const now = await done(store.get(id));
  if (now?.state !== "running") return null;
  pieces.forEach((piece, number) => all.put(piece, [id, number, start]));
  const changed = { ...now, ...changes };
  store.put(changed, id);
  return changed;
});

export const put = (id, number, start, piece) => within(["pieces"], "readwrite", (pieces) => { pieces.put(piece, [id, number, start]); });

export const forgetSong = (id) => within(["pieces"], "readwrite", (pieces) => { pieces.delete(IDBKeyRange.bound([id, SONG], [id, SONG, []])); });

export const forgetShared = (id) => within(["pieces"], "readwrite", (pieces) => { pieces.delete(IDBKeyRange.bound([id, -Infinity], [id, SHARED, []])); });

export const forgetPieces = (id) => within(["pieces"], "readwrite", (pieces) => { pieces.delete(ofJob(id)); });

export const remove = (id) => within(["jobs", "sources", "pieces"], "readwrite", (store, sources, pieces) => {
  store.delete(id);
  sources.delete(id);
  pieces.delete(ofJob(id));
});

// The pieces of a stem in order, each { start, n_samples, samples, heights }: their sounds are only read when asked for.
export const pieces = (id, number) => within(["pieces"], "readonly", async (store) => {
  const range = IDBKeyRange.bound([id, number], [id, number, []]);
  const [keys, values] = await Promise.all([done(store.getAllKeys(range)), done(store.getAll(range))]);
  return values.map((piece, i) => ({ start: keys[i][2], ...piece }));
});

// The piece that covers a sample.
const pieceAt = (id, number, sample) => within(["pieces"], "readonly", async (store) => {
  const range = IDBKeyRange.bound([id, number], [id, number, sample]);
  const cursor = await done(store.openCursor(range, "prev"));
  return cursor && { start: cursor.key[2], ...cursor.value };
});

// Both channels of a stem from `start` on: `count` samples, or as many as there are.
export async function samples(id, number, start, count) {
  const sides = [new Float32Array(count), new Float32Array(count)];
  let filled = 0;
  while (filled < count) {
    const piece = await pieceAt(id, number, start + filled);
    const offset = piece ? start + filled - piece.start : 0;
    const n = piece ? Math.min(count - filled, piece.n_samples - offset) : 0;
    if (n <= 0) break;
    const raw = await Promise.all([offset, piece.n_samples + offset].map((at) => piece.samples.slice(4 * at, 4 * (at + n)).arrayBuffer()));
    raw.forEach((bytes, channel) => sides[channel].set(new Float32Array(bytes), filled));
    filled += n;
  }
  return filled === count ? sides : sides.map((side) => side.subarray(0, filled));
}

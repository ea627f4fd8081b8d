// Separates the songs that wait, one at a time, also where several tabs are open.

import * as database from "./database.js";
import { decode } from "./decode.js";
import { asRefused, refused } from "./refused.js";

const AT_ONCE = 1 << 20; // samples of a song that are put on disk
const UNFINISHED = ["queued", "running"];
const channel = new BroadcastChannel("unweave"); // changed jobs, to all tabs
const listening = new BroadcastChannel("unweave"); // a channel does not hear itself

let giveUp = null; // of the song that is being separated: its id, and how to stop

export function tell(job) {
  channel.postMessage(job);
  return job;
}

export function watch(id, onJob, onDeleted) {
  let isKnown = false;
  const heard = ({ data }) => {
    if (data.id !== id) return;
    isKnown = true;
    if (data.state === "deleted") onDeleted();
    else onJob(data);
  };
  listening.addEventListener("message", heard);
  database.job(id).then((job) => {
    if (isKnown) return;
    if (job) onJob(job);
    else onDeleted();
  });
  return () => {
    isKnown = true; // more than anyone wants to know
    listening.removeEventListener("message", heard);
  };
}

// A song that was cancelled or deleted, in whatever tab, is not computed any further.
listening.addEventListener("message", ({ data }) => { if (giveUp?.id === data.id && !UNFINISHED.includes(data.state)) giveUp.stop(); });

// Calls `begin` for each song that begins to wait, in whatever tab: if that is closed, another one separates it.
export const onWaiting = (begin) => listening.addEventListener("message", ({ data }) => { if (data.state === "queued") begin(); });

export const inOrder = (jobs) => jobs.sort((one, other) => (one.turn ?? 0) - (other.turn ?? 0) || one.created - other.created);

// Separates one more song: of those that are unfinished when there is time for it, the one whose turn it is. One that says that
// it is running was interrupted.
export function enqueue(models) {
  return navigator.locks.request("unweave-separation", async () => {
    const [next] = inOrder((await database.jobs()).filter(({ state }) => UNFINISHED.includes(state)));
    if (!next) return;
    const changes = { state: "running", n_samples: 0, progress: 0, seconds_left: null, error: "" };
    const job = await database.change(next.id, changes, UNFINISHED);
    if (!job) return;
    tell(job);
    await database.forgetPieces(job.id);
    try {
      await run(job, models.find(({ name }) => name === job.model));
    } catch (error) {
      await fail(job.id, error);
    } finally {
      await database.forgetSong(job.id);
    }
  });
}

async function fail(id, error) {
  const { message, code, values } = asRefused(error);
  const changes = { state: "failed", error: message, error_code: code, error_values: values, n_samples: 0, seconds_left: null };
  const job = await database.change(id, changes, ["running"]);
  await database.forgetPieces(id);
  if (job) tell(job);
}

async function run(job, model) {
  if (!model) throw refused("no_model", { name: job.model });
  const { stems, sample_rate } = model;
  const nSamples = await unpack(job.id, sample_rate);
  if (!nSamples) throw refused("empty");
  const seconds = nSamples / sample_rate;
  const begun = await database.change(job.id, { stems, sample_rate, seconds }, ["running"]);
  if (!begun) return;
  tell(begun);
  const started = performance.now();
  await compute(job.id, nSamples, model, model.overlap_frames[job.quality], async ({ start, share, stems: parts }) => {
    const elapsed = (performance.now() - started) / 1000;
    const changes = { n_samples: start + parts[0][0].length, progress: share, seconds_left: (elapsed * (1 - share)) / share };
    const now = await database.append(job.id, start, parts.map(asPiece), changes);
    if (now) tell(now);
  });
  const run_seconds = (performance.now() - started) / 1000;
  const ended = await database.change(job.id, { state: "done", progress: 1, seconds_left: 0, run_seconds }, ["running"]);
  if (ended) tell(ended);
}

// Puts the samples of a song on disk, from where the worker gets them: as a whole they would take more memory than all else.
async function unpack(id, rate) {
  const sides = await decode(await database.source(id), rate);
  const [{ length }] = sides;
  for (let start = 0; start < length; start += AT_ONCE) {
    const part = sides.map((side) => side.subarray(start, start + AT_ONCE));
    await database.put(id, database.SONG, start, { samples: new Blob(part), n_samples: part[0].length });
  }
  return length;
}

// Has a worker separate a song; `onPart` is awaited before the song counts as done. Returns at once when it is given up. The
// worker ends with the song: what its runtime has once taken of the memory it never gives back.
async function compute(id, nSamples, model, nShared, onPart) {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  let written = Promise.resolve();
  try {
    await new Promise((resolve, reject) => {
      giveUp = { id, stop: resolve };
      worker.onerror = (event) => reject(new Error(event.message || "the worker stopped"));
      worker.onmessage = ({ data }) => {
        if (data.kind === "read") {
          // Parts wait for the disk, and the next segment for them: none pile up in memory.
          const read = written.then(() => database.samples(id, database.SONG, data.start, data.count));
          read.then((channels) => worker.postMessage({ kind: "samples", channels }, channels.map(({ buffer }) => buffer)), reject);
        } else if (data.kind === "part") written = written.then(() => onPart(data));
        else if (data.kind === "done") written.then(resolve, reject);
        else reject(refused(data.code, data.values));
      };
      worker.postMessage({ kind: "separate", model, nShared, nSamples });
    });
  } finally {
    giveUp = null;
    worker.terminate();
  }
}

function asPiece([left, right]) {
  const heights = new Float32Array(Math.ceil(left.length / database.STRIDE));
  for (let i = 0; i < left.length; i++) {
    const height = Math.max(Math.abs(left[i]), Math.abs(right[i]));
    const at = Math.floor(i / database.STRIDE);
    if (height > heights[at]) heights[at] = height;
  }
  return { samples: new Blob([left, right]), n_samples: left.length, heights };
}

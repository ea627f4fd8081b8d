// The server's API, as its openapi.json describes it. Errors carry the code and values of a refusal; see words.js.
// The web edition has a module of the same name and exports in its place (studio/web/page/api.js).

export { mixAddress, projectAddress, stemAddress, zipAddress } from "./addresses.js";

export const FORMATS = ["wav", "flac", "mp3", "m4a", "ogg", "opus"];
export const PROJECTS = ["dawproject", "rpp"];
export const save = null; // the links alone are enough: the server sends files

async function answer(response) {
  if (response.ok) return response.status === 204 ? null : response.json();
  const { detail, code, values } = await response.json().catch(() => ({ detail: response.statusText }));
  throw Object.assign(new Error(detail), { code, values });
}

async function call(path, options) {
  const response = await fetch(`/api/${path}`, options).catch((error) => { throw Object.assign(error, { code: "unreachable" }); });
  return answer(response);
}

export const models = () => call("models");
export const qualities = () => call("qualities");
export const jobs = () => call("jobs");
export const job = (id) => call(`jobs/${id}`);
export const cancel = (id) => call(`jobs/${id}/cancel`, { method: "POST" });
export const move = (id, place) => call(`jobs/${id}/move?${new URLSearchParams({ place })}`, { method: "POST" });
export const retry = (id) => call(`jobs/${id}/retry`, { method: "POST" });
export const remove = (id) => call(`jobs/${id}`, { method: "DELETE" });
export const peaks = (id, stem, points) => call(`jobs/${id}/stems/${encodeURIComponent(stem)}/peaks?points=${points}`);
export const picture = (id, stem) => `/api/jobs/${id}/stems/${encodeURIComponent(stem)}/spectrogram.png`;

export function upload(file, model, quality, acceptLicence) {
  const query = new URLSearchParams({ name: file.name, model, quality, accept_licence: Boolean(acceptLicence) });
  return call(`jobs?${query}`, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
}

// Stereo samples from −1 to 1: two Float32Arrays, as long as what is separated so far.
export async function samples(id, stem, start, count) {
  const response = await fetch(`/api/jobs/${id}/stems/${encodeURIComponent(stem)}/samples?start=${start}&count=${count}`);
  if (!response.ok) return answer(response);
  const packed = new Int16Array(await response.arrayBuffer());
  const sides = [new Float32Array(packed.length / 2), new Float32Array(packed.length / 2)];
  for (let i = 0; i < packed.length; i++) sides[i & 1][i >> 1] = packed[i] / 32768;
  return sides;
}

const UNTIL_NEXT_TRY = 3000; // milliseconds, as browsers wait after a connection that broke

export function watch(id, onJob, onDeleted) {
  let events = null;
  let nextTry = null;
  let isOver = false;
  const end = () => {
    isOver = true;
    clearTimeout(nextTry);
    events.close();
  };
  const listen = () => {
    events = new EventSource(`/api/jobs/${id}/events`);
    events.onmessage = ({ data }) => {
      const now = JSON.parse(data);
      if (!["queued", "running"].includes(now.state)) end();
      onJob(now);
    };
    events.addEventListener("deleted", () => { end(); onDeleted(); });
    events.onerror = async () => {
      if (events.readyState !== EventSource.CLOSED) return; // the browser tries again by itself, but not after a refusal
      const isDeleted = await job(id).then(() => false, ({ code }) => code === "no_job");
      if (isOver) return;
      if (isDeleted) onDeleted();
      else nextTry = setTimeout(listen, UNTIL_NEXT_TRY);
    };
  };
  listen();
  return end;
}

// Where the results of a job are: what both back ends of the page, the server and the browser, agree on.

import { NEUTRAL } from "./sensitivity.js";

export const mixAddress = (id, mix, format) => `/api/jobs/${id}/mix?${mixQuery(mix, { format })}`;

// A project for a DAW, with the mixer's settings and, if it is known, the tempo in beats per minute.
export const projectAddress = (id, mix, format, tempo) => `/api/jobs/${id}/project?${mixQuery(mix, tempo ? { format, tempo } : { format })}`;

// One stem, and all stems in one archive: of the mixer's settings only the sensitivities count, which change what is in the stems.
export const stemAddress = (id, stem, mix, format) => mixAddress(id, asStems(mix, stem), format);
export const zipAddress = (id, mix, format) => `/api/jobs/${id}/stems.zip?${mixQuery(asStems(mix), { format })}`;

const asStems = (mix, only) => Object.fromEntries(Object.entries(mix).map(([stem, { sensitivity }]) => [stem, { sensitivity, solo: stem === only }]));

function mixQuery(mix, more) {
  const query = new URLSearchParams(more);
  for (const [stem, strip] of Object.entries(mix)) {
    if (strip.gain) query.append("gain", `${stem}:${strip.gain}`);
    if (strip.pan) query.append("pan", `${stem}:${strip.pan}`);
    if (strip.sensitivity !== NEUTRAL) query.append("sensitivity", `${stem}:${strip.sensitivity}`);
    if (strip.mute) query.append("mute", stem);
    if (strip.solo) query.append("solo", stem);
  }
  return query;
}

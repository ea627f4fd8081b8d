// Where the results of a job are: what both back ends of the page, the server and the browser, agree on.

export const mixAddress = (id, mix, format) => `/api/jobs/${id}/mix?${mixQuery(mix, { format })}`;

// A project for a DAW, with the mixer's settings and, if it is known, the tempo in beats per minute.
export const projectAddress = (id, mix, format, tempo) => `/api/jobs/${id}/project?${mixQuery(mix, tempo ? { format, tempo } : { format })}`;

function mixQuery(mix, more) {
  const query = new URLSearchParams(more);
  for (const [stem, strip] of Object.entries(mix)) {
    if (strip.gain) query.append("gain", `${stem}:${strip.gain}`);
    if (strip.pan) query.append("pan", `${stem}:${strip.pan}`);
    if (strip.mute) query.append("mute", stem);
    if (strip.solo) query.append("solo", stem);
  }
  return query;
}

export const zipAddress = (id, format) => `/api/jobs/${id}/stems.zip?${new URLSearchParams({ format })}`;

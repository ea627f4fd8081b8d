// Where the results of a job are: what both back ends of the page, the server and the browser, agree on.

export function mixAddress(id, mix, format) {
  const query = new URLSearchParams({ format });
  for (const [stem, strip] of Object.entries(mix)) {
    if (strip.gain) query.append("gain", `${stem}:${strip.gain}`);
    if (strip.pan) query.append("pan", `${stem}:${strip.pan}`);
    if (strip.mute) query.append("mute", stem);
    if (strip.solo) query.append("solo", stem);
  }
  return `/api/jobs/${id}/mix?${query}`;
}

export const zipAddress = (id, format) => `/api/jobs/${id}/stems.zip?${new URLSearchParams({ format })}`;

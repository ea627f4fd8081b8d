// Projects for a DAW: a link for each kind of program, with the faders as they are in the mixer, and the tempo if it is known.

import { PROJECTS, projectAddress } from "./api.js";
import { make } from "./strips.js";
import { say } from "./words.js";

export function showProjects(place, job, mix, tempo) {
  place.hidden = !PROJECTS.length;
  if (!place.children.length) {
    place.append(...PROJECTS.map((format) => make("a", { id: `export-${format}`, className: "button", download: "" })));
  }
  PROJECTS.forEach((format, index) => {
    const link = place.children[index];
    link.textContent = say(`export_${format}`);
    link.href = projectAddress(job.id, mix, format, tempo);
    link.setAttribute("aria-disabled", job.state !== "done");
  });
}

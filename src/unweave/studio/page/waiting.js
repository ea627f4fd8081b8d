// The songs that are being separated, or wait for it, in their order: to be seen, moved and cancelled.

import * as api from "./api.js";
import { make } from "./strips.js";
import { announce, say, sayOf, sayShare } from "./words.js";

export const isActive = ({ state }) => state === "queued" || state === "running";

export class Waiting {
  // `onChange` is called after a song was moved or cancelled.
  constructor({ section, list }, onChange, onError) {
    Object.assign(this, { section, list, onChange, onError });
  }

  // The song called `shown` is on the screen anyway, and alone it is not shown here.
  show(jobs, shown) {
    const running = jobs.filter(({ state }) => state === "running");
    const queued = jobs.filter(({ state }) => state === "queued").sort((one, other) => one.turn - other.turn || one.created - other.created);
    const active = [...running, ...queued];
    this.section.hidden = active.every(({ id }) => id === shown);
    const focused = document.activeElement?.closest("#waiting [data-key]")?.dataset.key;
    this.list.replaceChildren(...active.map((job) => this.item(job, queued)));
    if (focused) refocus(this.list, focused);
  }

  item(job, queued) {
    const place = queued.indexOf(job);
    const button = (what, isPossible, act) => {
      const made = make("button", { type: "button", textContent: say(what), disabled: !isPossible, onclick: () => act().then(this.onChange, this.onError) });
      made.dataset.key = `${job.id} ${what}`;
      made.setAttribute("aria-label", sayOf(what, job.name));
      return made;
    };
    const move = (to) => async () => {
      await api.move(job.id, to);
      announce(say("moved", { name: job.name, number: to + 1 }));
    };
    return make("li", {},
      make("span", { className: "name", dir: "auto", textContent: job.name }),
      make("span", { className: "note", textContent: `${say(job.state)}${job.state === "running" ? ` ${sayShare(job.progress)}` : ""}` }),
      ...(place < 0 ? [] : [button("sooner", place > 0, move(place - 1)), button("later", place < queued.length - 1, move(place + 1))]),
      button("cancel", true, () => api.cancel(job.id)));
  }
}

// In a list that was built anew, the same button of the same song; where it cannot be pressed any more, its neighbour.
export function refocus(list, key) {
  const id = key.split(" ")[0];
  const ofSong = [...list.querySelectorAll(`[data-key^="${id} "]`)];
  (ofSong.find(({ dataset, disabled }) => dataset.key === key && !disabled) ?? ofSong.find(({ disabled }) => !disabled))?.focus();
}

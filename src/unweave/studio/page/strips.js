// The mixer: one strip per stem, and the presets.

import { peaks, picture, stemAddress } from "./api.js";
import { NEUTRAL } from "./sensitivity.js";
import { canvasFor, drawWave, heightsFor, listen, View } from "./waves.js";
import { say, sayLevel, sayOf, sayShare, sayStem } from "./words.js";

const COLOURS = {
  vocals: "#56b4e9", drums: "#00a67a", bass: "#e5702a", piano: "#e6a11a", other: "#d184ad", accompaniment: "#9385e0",
};
const SPARE = ["#b8b04a", "#6fa3a3", "#c06c6c", "#7f9cf5"];

const PRESETS = {
  all: () => false,
  karaoke: (stem) => stem === "vocals",
  a_cappella: (stem) => stem !== "vocals",
  drumless: (stem) => stem === "drums",
  practice_bass: (stem) => stem === "bass",
};
const NEEDS = { drumless: "drums", practice_bass: "bass", karaoke: "vocals", a_cappella: "vocals" };

export const colourOf = (stem, index) => COLOURS[stem] ?? SPARE[index % SPARE.length];

export function make(tag, properties = {}, ...children) {
  const { style, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(style ?? {})) element.style.setProperty(name, value);
  element.append(...children);
  return element;
}

export class Strips {
  constructor(player, { strips, presets, layers }, onChange) {
    Object.assign(this, { player, strips, presets, layers, onChange, asked: 0, drawn: 0 });
    this.rows = {};
    this.view = new View();
    this.view.onChange = () => this.render();
    listen(layers, this.view, this.hands());
  }

  // What the hands on a waveform do; who listens is known later.
  hands() {
    return { onSeek: (share) => this.onSeek?.(share), onLoop: (edges, isDone) => this.onLoop?.(edges, isDone) };
  }

  // Of another song nothing is known at first.
  clear() {
    Object.assign(this, { rows: {}, layerOf: null, layerCursor: null });
    for (const place of [this.strips, this.presets, this.layers]) place.replaceChildren();
  }

  build(job) {
    this.rows = {};
    this.view.zoomBy(1 / this.view.zoom, 0);
    this.strips.replaceChildren(...job.stems.map((stem, index) => this.strip(job, stem, index)));
    const usable = Object.keys(PRESETS).filter((name) => !NEEDS[name] || job.stems.includes(NEEDS[name]));
    this.presets.replaceChildren(...usable.map((name) => {
      const button = make("button", { type: "button", textContent: say(name) });
      button.dataset.preset = name;
      button.onclick = () => this.preset(name);
      return button;
    }));
    this.show();
  }

  strip(job, stem, index) {
    const mix = this.player.mix[stem];
    const colour = colourOf(stem, index);
    const toggle = (what) => {
      const button = make("button", { type: "button", textContent: say(what) });
      button.dataset.what = what;
      button.setAttribute("aria-label", sayOf(what, sayStem(stem)));
      button.onclick = () => { mix[what] = !mix[what]; this.show(); };
      return button;
    };
    const slider = (what, low, high, step, show, middle = 0) => {
      const value = make("output", { textContent: show(mix[what]), ariaLive: "off" });
      const input = make("input", { type: "range", min: low, max: high, step, value: mix[what] });
      input.dataset.what = what;
      input.setAttribute("aria-label", sayOf(what, sayStem(stem)));
      input.oninput = () => { mix[what] = Number(input.value); this.show(); };
      input.ondblclick = () => { mix[what] = middle; this.show(); };
      return { what, input, value, show };
    };
    const mute = toggle("mute");
    const solo = toggle("solo");
    const sliders = [
      slider("gain", -60, 12, 0.5, sayLevel),
      slider("pan", -1, 1, 0.05, (pan) => (pan ? `${say(pan < 0 ? "left_side" : "right_side")} ${Math.round(100 * Math.abs(pan))}` : say("centre"))),
      ...(job.stems.length > 1 ? [slider("sensitivity", 0, 1, 0.01, sayShare, NEUTRAL)] : []),
    ];
    const canvas = canvasFor();
    const flags = make("div", { className: "flags" });
    const cursor = make("div", { className: "cursor" });
    const region = make("div", { className: "region" });
    const wave = make("div", { className: "wave" }, canvas, region, flags, cursor);
    listen(wave, this.view, this.hands());
    const bar = make("i");
    const save = make("a", { className: "button quiet", textContent: say("save"), download: "" });
    save.dataset.what = "save";
    save.setAttribute("aria-label", sayOf("save", sayStem(stem)));
    const name = make("div", { className: "name" }, make("span", { className: "dot" }), make("span", { textContent: sayStem(stem) }));
    const row = make("div", { className: "strip", role: "group", style: { "--colour": colour } },
      make("div", { className: "head" }, name, make("div", { className: "toggles" }, mute, solo, save)),
      wave,
      make("div", { className: "controls" },
        ...sliders.flatMap(({ what, input, value }) => [make("span", { textContent: say(what) }), input, value]),
        make("div", { className: "meter" }, bar)));
    row.dataset.stem = stem;
    row.setAttribute("aria-label", sayStem(stem));
    this.rows[stem] = { row, mute, solo, sliders, canvas, flags, cursor, region, bar, save, colour, heights: [] };
    return row;
  }

  preset(name) {
    for (const [stem, mix] of Object.entries(this.player.mix)) {
      Object.assign(mix, { gain: 0, pan: 0, sensitivity: NEUTRAL, solo: false, mute: PRESETS[name](stem) });
    }
    this.show();
  }

  // The mixer's state on the screen and in the ears.
  show() {
    for (const [stem, { row, mute, solo, sliders }] of Object.entries(this.rows)) {
      const mix = this.player.mix[stem];
      mute.setAttribute("aria-pressed", mix.mute);
      solo.setAttribute("aria-pressed", mix.solo);
      for (const { what, input, value, show } of sliders) {
        input.value = mix[what];
        value.textContent = show(mix[what]);
        input.setAttribute("aria-valuetext", show(mix[what]));
      }
      row.classList.toggle("silent", !this.player.isHeard(stem));
      this.layerOf?.[stem]?.style.setProperty("opacity", this.player.isHeard(stem) ? 0.95 : 0);
    }
    this.player.applyMix();
    this.onChange();
  }

  links(job, format) {
    for (const [stem, { save }] of Object.entries(this.rows)) {
      save.href = stemAddress(job.id, stem, this.player.mix, format);
      save.setAttribute("aria-disabled", job.state !== "done");
    }
  }

  async draw(job) {
    const total = job.seconds ? job.seconds * job.sample_rate : job.n_samples;
    const share = Math.min(1, job.n_samples / Math.max(total, 1));
    const rows = this.rows;
    const turn = ++this.asked;
    const all = await Promise.all(job.stems.map((stem) => peaks(job.id, stem, heightsFor(share, job.state === "done")))).catch(() => null);
    if (!all || rows !== this.rows || turn < this.drawn) return; // another song is on the screen, or more of this one
    job.stems.forEach((stem, index) => { rows[stem].heights = all[index]; });
    this.drawn = turn;
    this.share = share;
    this.render();
  }

  // The highest peak of all stems fills the height, so that stems can be compared.
  render() {
    const scale = Math.max(0.01, ...Object.values(this.rows).map(({ heights }) => heights.reduce((a, b) => Math.max(a, b), 0)));
    for (const { canvas, heights, colour, flags } of Object.values(this.rows)) {
      drawWave(canvas, heights, this.share || 1, scale, colour, this.view);
      this.flag(flags);
    }
    const { zoom, start } = this.view;
    this.layers.style.setProperty("--zoom", `${100 * zoom}% 100%`);
    this.layers.style.setProperty("--shift", `${zoom > 1 ? (100 * start * zoom) / (zoom - 1) : 0}% 0`);
    this.onView?.(zoom);
  }

  // The places of the markers, in shares of the song.
  mark(shares) {
    this.marked = shares;
    for (const { flags } of Object.values(this.rows)) this.flag(flags);
  }

  flag(flags) {
    flags.replaceChildren(...(this.marked ?? []).map((share) => make("i", { style: { left: `${100 * this.view.onScreen(share)}%` } })));
  }

  zoom(factor, centre) {
    this.view.zoomBy(factor, centre);
    this.render();
  }

  async pictures(job) {
    const addresses = await Promise.all(job.stems.map((stem) => picture(job.id, stem)));
    if (this.player.job?.id !== job.id) return;
    this.layerOf = {};
    this.layers.replaceChildren(...job.stems.map((stem, index) => {
      const image = `url("${addresses[index]}")`;
      const layer = make("div", { className: "layer", style: { "--colour": colourOf(stem, index), "mask-image": image, "-webkit-mask-image": image } });
      this.layerOf[stem] = layer;
      return layer;
    }), (this.layerCursor = make("div", { className: "cursor" })));
    this.show();
  }

  tick(share, loop, isFollowing) {
    if (isFollowing && this.view.follow(share)) this.render();
    const place = (where) => `${100 * this.view.onScreen(where)}%`;
    for (const [stem, { cursor, region, bar }] of Object.entries(this.rows)) {
      cursor.style.left = place(share);
      region.hidden = !loop;
      if (loop) {
        region.style.left = place(loop[0]);
        region.style.width = `${100 * (loop[1] - loop[0]) * this.view.zoom}%`;
      }
      const db = 20 * Math.log10(this.player.level(stem) + 1e-6);
      bar.style.transform = `scaleX(${Math.max(0, 1 + db / 60)})`;
    }
    if (this.layerCursor) this.layerCursor.style.left = place(share);
  }
}

// What one needs to practise with a song: markers, its tempo, clicks. Kept in the browser, for each song.

import { read, write, writeText } from "./kept.js";
import { FASTEST, SLOWEST } from "./metronome.js";
import { make } from "./strips.js";
import { announce, clock, say, sayNumber } from "./words.js";

const $ = (id) => document.getElementById(id);
const KEPT = ["bpm", "first", "beats", "isOn", "countsIn"];
const keyOf = (id) => `song ${id}`;

export const forget = (id) => writeText(keyOf(id), null);

export class Practice {
  // onMarkers(seconds of all markers) is called when they change, and onKept() when something is kept.
  constructor(player, onMarkers, onKept) {
    Object.assign(this, { player, onMarkers, onKept, id: null, markers: [] });
    $("mark").onclick = () => this.add();
    $("tap").onclick = () => this.tap();
    $("beat").onclick = () => this.set({ first: player.now });
    $("bpm").onchange = () => this.set({ bpm: this.bounded("bpm", SLOWEST, FASTEST) });
    $("beats").onchange = () => this.set({ beats: Math.round(this.bounded("beats", 1, 16)) || 4 });
    $("click").onchange = () => this.set({ isOn: $("click").checked });
    $("count-in").onchange = () => this.set({ countsIn: $("count-in").checked });
    window.addEventListener("storage", ({ key }) => { if (this.id && key === keyOf(this.id)) this.takeOver(); });
  }

  bounded(id, lowest, highest) {
    const number = $(id).valueAsNumber;
    return Number.isFinite(number) ? Math.max(lowest, Math.min(highest, number)) : 0;
  }

  open(id) {
    this.id = id;
    this.load();
  }

  load() {
    const { markers, ...tempo } = read(keyOf(this.id)) ?? {};
    this.markers = Array.isArray(markers) ? markers.filter((marker) => Number.isFinite(marker?.seconds) && typeof marker.name === "string") : [];
    for (const name of KEPT) if (typeof tempo[name] === typeof this.player.metronome[name]) this.player.metronome[name] = tempo[name];
    this.show();
  }

  // What another window has kept of the same song.
  takeOver() {
    this.load();
    this.onKept();
  }

  keep() {
    const tempo = Object.fromEntries(KEPT.map((name) => [name, this.player.metronome[name]]));
    write(keyOf(this.id), { markers: this.markers, ...tempo });
    this.show();
    this.onKept();
  }

  show() {
    const { bpm, beats, isOn, countsIn } = this.player.metronome;
    $("bpm").value = bpm || "";
    $("beats").value = beats;
    $("click").checked = isOn;
    $("count-in").checked = countsIn;
    for (const id of ["click", "count-in", "beat"]) $(id).disabled = !bpm;
    $("markers").replaceChildren(...this.markers.map((marker, index) => this.item(marker, index)));
    this.mark();
  }

  mark() {
    this.onMarkers(this.markers.map(({ seconds }) => seconds));
  }

  // Tempo

  set(changes) {
    const { metronome } = this.player;
    Object.assign(metronome, changes);
    this.keep();
    if (this.player.isPlaying && (metronome.isOn || "isOn" in changes)) this.player.restart();
  }

  // While it plays, taps also say where the bars begin.
  tap() {
    const { metronome, isPlaying, now } = this.player;
    const { first } = metronome;
    metronome.tap(isPlaying ? now : performance.now() / 1000);
    if (!isPlaying) metronome.first = first;
    this.keep();
    if (metronome.bpm && metronome.taps.length > 1) announce(say("tempo_is", { number: sayNumber(metronome.bpm, 1) }));
  }

  toggleClick() {
    if (this.player.metronome.bpm) this.set({ isOn: !this.player.metronome.isOn });
  }

  // Markers

  add() {
    const seconds = this.player.now;
    if (this.markers.some((marker) => Math.abs(marker.seconds - seconds) < 0.05)) return;
    this.markers = [...this.markers, { seconds, name: "" }].sort((one, other) => one.seconds - other.seconds);
    this.keep();
    announce(say("marker_added", { time: clock(seconds) }));
  }

  remove(marker) {
    const index = this.markers.indexOf(marker);
    this.markers = this.markers.filter((other) => other !== marker);
    this.keep();
    ($("markers").children[Math.min(index, this.markers.length - 1)]?.querySelector("button") ?? $("mark")).focus();
    announce(say("marker_removed"));
  }

  // To the next marker, or (direction −1) the one before; what was just passed is not meant.
  jump(direction) {
    const { now, isPlaying } = this.player;
    const slack = direction < 0 && isPlaying ? 1 : 0.02;
    const others = this.markers.filter(({ seconds }) => direction * (seconds - now) > slack);
    const to = direction > 0 ? others[0] : others.at(-1);
    if (to) this.player.seek(to.seconds);
    else if (direction < 0) this.player.seek(0);
  }

  item(marker, index) {
    const number = index + 1;
    const name = () => marker.name || say("marker", { number });
    const time = clock(marker.seconds);
    const go = make("button", { type: "button", textContent: time, onclick: () => this.player.seek(marker.seconds) });
    const input = make("input", { type: "text", maxLength: 40, value: marker.name, placeholder: say("marker", { number }) });
    input.setAttribute("aria-label", say("name_of", { number }));
    const remove = make("button", { type: "button", className: "quiet", textContent: "×", onclick: () => this.remove(marker) });
    const label = () => {
      go.setAttribute("aria-label", say("go_to", { name: name(), time }));
      remove.setAttribute("aria-label", say("remove_marker", { name: name() }));
    };
    input.onchange = () => { marker.name = input.value.trim(); label(); this.keepNames(); };
    label();
    return make("li", {}, go, input, remove);
  }

  // Without building the list anew under the user's hands.
  keepNames() {
    const { show } = this;
    this.show = () => {};
    this.keep();
    this.show = show;
  }
}

// How a song is heard: loop, speed and key, zoom, and the whole with its level, original and limiter.

import { make } from "./strips.js";
import { announce, clock, say, sayLevel, sayNumber } from "./words.js";

const $ = (id) => document.getElementById(id);
const SHORTEST_LOOP = 0.1; // seconds
const TRANSPOSITIONS = Array.from({ length: 25 }, (_, step) => 12 - step);

export class Controls {
  // `length()` gives the seconds of the song, `onMix` is called when what would be saved changes.
  constructor(player, strips, { length, onMix }) {
    Object.assign(this, { player, strips, length, onMix, loopStart: null, dragged: null, hasClipped: false });
    player.onPlain = () => this.showPlain();
    player.onInsensitive = () => { $("message").textContent = say("no_sensitivity"); };
    strips.onLoop = (shares, isDone) => this.dragLoop(shares, isDone);
    strips.onView = (times) => this.showZoom(times);
    $("loop").onclick = () => this.toggleLoop();
    $("rate").onchange = $("transpose").onchange = () => this.setSpeed();
    $("zoom-in").onclick = () => this.zoom(2);
    $("zoom-out").onclick = () => this.zoom(0.5);
    $("original").onclick = () => this.toggleOriginal();
    $("limiter").onclick = () => this.setMaster({ isLimited: !player.settings.isLimited });
    $("master-level").oninput = () => this.setMaster({ db: Number($("master-level").value) });
    $("master-level").ondblclick = () => this.setMaster({ db: 0 });
    $("clip").onclick = () => this.showClipping(false);
  }

  // Another song.
  open() {
    this.loopStart = null;
    this.player.settings.isOriginal = false;
    this.show();
  }

  // Everything, in the page's language.
  show() {
    const chosen = $("transpose").value || 0;
    const named = (step) => (step > 0 ? `+${step}` : step < 0 ? `−${-step}` : "0");
    $("transpose").replaceChildren(...TRANSPOSITIONS.map((step) => make("option", { value: step, textContent: named(step) })));
    $("transpose").value = chosen;
    for (const option of $("rate").options) option.textContent = sayNumber(Number(option.value), 2);
    this.showClipping(this.hasClipped);
    this.showLoop();
    this.showMaster();
  }

  // Calls for each frame; `now` is a share of the song.
  tick(now) {
    const { player } = this;
    this.strips.tick(now, this.dragged ?? player.loop?.map((edge) => edge / (this.length() || 1)), player.isPlaying);
    const peak = player.tick();
    $("master-meter").style.transform = `scaleX(${Math.max(0, 1 + (20 * Math.log10(peak + 1e-6)) / 60)})`;
    if (peak > 1 && !this.hasClipped) this.showClipping(true);
  }

  // Loop. First press: from here; second: to here; third: no loop.

  toggleLoop() {
    const { now, loop } = this.player;
    if (loop) this.setLoop(null);
    else if (this.loopStart === null) this.loopStart = now;
    else if (now > this.loopStart + SHORTEST_LOOP) this.setLoop([this.loopStart, now]);
    else this.loopStart = null;
    this.showLoop();
  }

  setLoop(edges) {
    const { player } = this;
    const { now } = player; // as the loop that there was has it
    player.loop = edges;
    this.loopStart = null;
    const isInside = edges && now >= edges[0] && now < edges[1];
    player.seek(!edges || isInside ? now : edges[0]);
    announce(edges ? say("loop_set", { start: clock(edges[0]), stop: clock(edges[1]) }) : say("loop_off"));
    this.showLoop();
  }

  // Called while one drags over a waveform, and when one lets go, with shares of the song.
  dragLoop(shares, isDone) {
    this.dragged = isDone ? null : shares;
    const edges = shares.map((share) => Math.min(share * this.length(), this.player.length));
    if (isDone && edges[1] - edges[0] > SHORTEST_LOOP) this.setLoop(edges);
  }

  showLoop() {
    const isBegun = this.loopStart !== null;
    $("loop").setAttribute("aria-pressed", Boolean(this.player.loop) || isBegun);
    $("loop").textContent = say(isBegun && !this.player.loop ? "loop_to" : "loop");
  }

  // Speed and key

  setSpeed() {
    this.player.setSpeed(Number($("rate").value), Number($("transpose").value));
    this.showListening();
  }

  showPlain() {
    const { player } = this;
    $("plain").hidden = player.canStretch;
    $("transpose").disabled = !player.canStretch;
    if (!player.canStretch) $("transpose").value = player.semitones = 0;
    this.showListening();
  }

  // The whole

  toggleOriginal() {
    this.setMaster({ isOriginal: !this.player.settings.isOriginal });
  }

  async setMaster(changes) {
    await this.player.setMaster(changes).catch(() => { $("message").textContent = say("no_limiter"); });
    this.showMaster();
  }

  showMaster() {
    const { db, isOriginal, isLimited } = this.player.settings;
    $("master-level").value = db;
    $("master-level").setAttribute("aria-valuetext", sayLevel(db));
    $("master-db").textContent = sayLevel(db);
    $("original").setAttribute("aria-pressed", isOriginal);
    $("limiter").setAttribute("aria-pressed", isLimited);
    this.showListening();
    this.onMix();
  }

  showClipping(isClipping) {
    if (isClipping && !this.hasClipped) announce(say("clip_on"));
    this.hasClipped = isClipping;
    $("clip").classList.toggle("on", isClipping);
    $("clip").textContent = say(isClipping ? "clip_on" : "clip_off");
  }

  // Says so where what is heard differs from what would be saved.
  showListening() {
    const { rate, semitones, metronome, settings } = this.player;
    $("listening").hidden = rate === 1 && !semitones && !settings.isLimited && !metronome.isOn;
  }

  // Zoom, around where one is, if that is on the screen

  zoom(factor) {
    const { view } = this.strips;
    const now = this.player.now / (this.length() || 1);
    const place = view.onScreen(now);
    this.strips.zoom(factor, place >= 0 && place <= 1 ? now : view.inSong(0.5));
  }

  showZoom(times) {
    const said = say("zoomed", { times: sayNumber(times) });
    if ($("zoom-in").title && $("zoom-in").title !== said) announce(said);
    $("zoom-in").title = said;
    $("zoom-out").disabled = times <= 1;
  }
}

// All stems of a job through Web Audio, sample-locked: pieces of one second of all stems, one after the other.

import { samples } from "./api.js";
import { keptStrip } from "./kept.js";
import { Master } from "./master.js";
import { click, Metronome } from "./metronome.js";
import { Plain, Stretched } from "./outlets.js";
import { Resharing } from "./resharing.js";

const AHEAD = 2.5; // seconds that are scheduled before they are heard
const LOWEST_DB = -60;

export class Player {
  constructor() {
    this.job = null;
    this.mix = {}; // stem → {gain (dB), pan, sensitivity, mute, solo}
    this.settings = { db: 0, isOriginal: false, isLimited: false }; // of the master
    this.metronome = new Metronome();
    this.isPlaying = false;
    this.rate = 1; // of the tempo
    this.semitones = 0;
    this.canStretch = true; // until it turns out otherwise
    this.canReshare = true; // until it turns out otherwise
    this.loop = null; // [start, stop] in seconds
    this.pieces = new Map();
    this.clicks = new Set();
    this.position = 0; // seconds, while it is not playing
  }

  open(job) {
    if (this.job?.id !== job.id) {
      this.pause();
      this.position = 0;
      this.loop = null;
      this.pieces.clear();
      this.mix = {};
      this.metronome = new Metronome();
      this.closeContext();
      this.startTime = undefined;
    }
    if (this.job?.id === job.id && job.n_samples < this.job.n_samples) this.pieces.clear(); // begun anew
    this.job = job;
    for (const stem of job.stems) this.mix[stem] ??= keptStrip(job.id, stem);
  }

  get length() {
    return this.job?.sample_rate ? this.job.n_samples / this.job.sample_rate : 0;
  }

  get now() {
    if (!this.isPlaying || this.startTime === undefined) return this.position;
    const heard = this.context.currentTime - this.resharing.latency - this.startTime;
    let position = this.startPosition + Math.max(0, heard) * this.rate;
    if (this.loop && position >= this.loop[1]) {
      const [start, stop] = this.loop;
      position = start + ((position - start) % (stop - start));
    }
    return Math.min(position, this.length);
  }

  // With `countsIn` a bar of clicks comes first, where the metronome is set to do so; without it, what was playing goes on.
  async play(countsIn = true) {
    if (!this.job?.stems.length || this.isPlaying) return;
    if (countsIn && this.job.state === "done" && this.position >= this.length - 0.01) this.position = 0; // from the end, once more
    this.isPlaying = true;
    this.startTime = undefined;
    const run = (this.run = {});
    this.context ??= contextAt(this.job.sample_rate); // pieces that were resampled one by one would not join
    this.connect();
    const resumed = this.context.resume().catch(() => {}); // closed meanwhile: another song is open
    this.resharing.rest();
    const [outlet] = await Promise.all([this.openOutlet(), this.reshare(), resumed]);
    if (this.run !== run) return;
    this.outlet = outlet;
    outlet.start(this);
    this.schedule(run, outlet, countsIn);
  }

  // A context belongs to one song: its rate, its stems, and what is connected to them.
  closeContext() {
    this.context?.close();
    if (this.master) this.master.isClosed = true;
    this.context = this.master = this.chains = this.resharing = this.plain = this.stretched = this.outlet = null;
  }

  async openOutlet() {
    const { context } = this;
    const inputs = this.resharing.entries;
    if (this.canStretch && (this.rate !== 1 || this.semitones)) {
      this.stretched ??= this.openStretched(context, inputs);
      const stretched = await this.stretched;
      if (stretched || context !== this.context) return stretched;
    }
    return (this.plain ??= new Plain(context, inputs));
  }

  async openStretched(context, inputs) {
    try {
      if (context.sampleRate !== this.job.sample_rate) throw new Error("this browser does not offer the song's rate");
      return await Stretched.open(context, inputs);
    } catch {
      if (context !== this.context) return null; // closed meanwhile: another song is open
      this.canStretch = false;
      this.onPlain?.();
      return null;
    }
  }

  pause() {
    this.position = this.now;
    this.isPlaying = false;
    this.run = null;
    this.outlet?.stop();
    this.outlet = null;
    for (const tone of this.clicks) tone.stop();
    this.clicks.clear();
  }

  seek(seconds) {
    const wasPlaying = this.isPlaying;
    this.pause();
    this.position = Math.max(0, Math.min(seconds, this.length));
    if (wasPlaying) this.play(false);
  }

  // Once more from here on: with other settings of what is scheduled before it is heard.
  restart() {
    this.seek(this.now);
  }

  setSpeed(rate, semitones) {
    const position = this.now;
    Object.assign(this, { rate, semitones });
    this.seek(position);
  }

  // One chain per stem: sensitivity → gain → balance → meter → the mix; beside it, without gain and balance, → the song, since
  // the stems have the same sum with any sensitivities.
  connect() {
    if (this.chains) return;
    this.master = new Master(this.context, this.settings);
    this.chains = {};
    for (const stem of this.job.stems) {
      const input = this.context.createGain();
      const gain = this.context.createGain();
      const balance = new Balance(this.context);
      const meter = this.context.createAnalyser();
      meter.fftSize = 2048;
      input.connect(this.master.song);
      input.connect(gain).connect(balance.input);
      balance.output.connect(meter).connect(this.master.mix);
      this.chains[stem] = { input, gain, balance, meter };
    }
    const inputs = Object.fromEntries(Object.entries(this.chains).map(([stem, { input }]) => [stem, input]));
    this.resharing = new Resharing(this.context, inputs, this.master.clicks);
    this.applyMix();
  }

  // Changes { db, isOriginal, isLimited }. Rejects where this browser cannot limit.
  async setMaster(changes) {
    Object.assign(this.settings, changes);
    this.master?.apply();
    if ("isLimited" in changes) await this.master?.route();
  }

  isHeard(stem) {
    const strips = Object.values(this.mix);
    const { mute, solo, gain } = this.mix[stem];
    return !mute && gain > LOWEST_DB && (solo || !strips.some((strip) => strip.solo));
  }

  applyMix() {
    if (!this.chains) return;
    for (const [stem, { gain, balance }] of Object.entries(this.chains)) {
      const level = this.isHeard(stem) ? 10 ** (this.mix[stem].gain / 20) : 0;
      gain.gain.setTargetAtTime(level, this.context.currentTime, 0.01);
      balance.set(this.mix[stem].pan);
    }
    this.reshare();
  }

  // The sensitivities of the mix, as soon as they can be heard.
  async reshare() {
    const { resharing } = this;
    if (!this.canReshare) return;
    await resharing.set(Object.keys(this.chains).map((stem) => this.mix[stem].sensitivity)).catch(() => {
      if (resharing !== this.resharing) return; // closed meanwhile: another song is open
      this.canReshare = false;
      this.onInsensitive?.();
    });
  }

  level(stem) {
    if (!this.chains || !this.isPlaying) return 0;
    const meter = this.chains[stem].meter;
    const buffer = (meter.buffer ??= new Float32Array(meter.fftSize));
    meter.getFloatTimeDomainData(buffer);
    return Math.max(...buffer.map(Math.abs));
  }

  // The peak of everything that is heard, now.
  tick() {
    return this.isPlaying && this.master ? this.master.tick() : 0;
  }

  async schedule(run, outlet, countsIn) {
    let next = this.position; // where in the song the next piece begins
    let at; // when it is heard
    while (this.isPlaying && this.run === run) {
      const { sample_rate: rate, n_samples: ready, state } = this.job;
      if (at !== undefined && at - this.context.currentTime > AHEAD) {
        await pause(100);
        continue;
      }
      if (this.loop && next >= this.loop[1] - 0.5 / rate) next = this.loop[0];
      const start = Math.round(next * rate);
      if (start >= ready) {
        if (!["queued", "running"].includes(state)) {
          if (at !== undefined && this.context.currentTime < at) await pause(50);
          else return this.end();
          continue;
        }
        await pause(150); // it is still being separated
        continue;
      }
      const piece = await this.piece(Math.floor(start / rate), ready);
      if (this.run !== run) return;
      if (!piece) {
        await pause(500); // it cannot be had, perhaps for a while
        continue;
      }
      const offset = start / rate - piece.start;
      let seconds = piece.seconds - offset;
      if (this.loop && next < this.loop[1]) seconds = Math.min(seconds, this.loop[1] - next);
      seconds = Math.round(seconds * rate) / rate;
      if (seconds <= 0) {
        await pause(50);
        continue;
      }
      const soonest = this.context.currentTime + outlet.lead;
      if (at === undefined || at < soonest) {
        at = soonest; // the beginning, or after a wait
        if (countsIn) at = this.countIn(at);
        countsIn = false;
        this.startTime = at;
        this.startPosition = next;
        outlet.begin(at);
      }
      outlet.add({ at, offset, seconds, buffers: piece.buffers });
      for (const beat of this.metronome.within(next, next + seconds)) this.click(at + (beat.seconds - next) / this.rate, beat.isFirst);
      at += seconds / this.rate;
      next = start / rate + seconds;
    }
  }

  // Clicks from the context's time `at` on; gives the time at which the song begins.
  countIn(at) {
    const beats = this.metronome.countIn(this.rate);
    beats.slice(0, -1).forEach((seconds, number) => this.click(at + seconds, number === 0));
    return at + beats.at(-1);
  }

  click(at, isFirst) {
    const tone = click(this.context, this.resharing.clicks.entry, at, isFirst);
    tone.onended = () => this.clicks.delete(tone);
    this.clicks.add(tone);
  }

  end() {
    this.pause();
    this.position = this.length;
    this.onEnd?.();
  }

  // Second number n of all stems; one that is not complete yet is not kept.
  async piece(number, ready) {
    if (this.pieces.has(number)) return this.pieces.get(number);
    const { id, stems, sample_rate: rate } = this.job;
    const start = number * rate;
    const count = Math.min(rate, ready - start);
    const all = await Promise.all(stems.map((stem) => samples(id, stem, start, count))).catch(({ code }) => {
      if (code === "no_job" && this.job.id === id) this.onDeleted?.(); // in another window, perhaps
      return null;
    });
    if (!all || this.job.id !== id) return null;
    const buffers = {};
    const length = Math.min(...all.map(([left]) => left.length));
    if (!length) return null;
    stems.forEach((stem, index) => {
      const buffer = this.context.createBuffer(2, length, rate);
      all[index].forEach((side, channel) => buffer.copyToChannel(side.subarray(0, length), channel));
      buffers[stem] = buffer;
    });
    const piece = { start: number, seconds: length / rate, buffers };
    const isLast = this.job.state === "done" && start + length === this.job.n_samples;
    if (length === rate || isLast) {
      this.pieces.set(number, piece);
      if (this.pieces.size > 40) this.pieces.delete(this.pieces.keys().next().value);
    }
    return piece;
  }
}

// Turns one channel down, as the server's mix does; a panner would move sound across.
class Balance {
  constructor(context) {
    this.input = context.createChannelSplitter(2);
    this.output = context.createChannelMerger(2);
    this.sides = [0, 1].map((channel) => {
      const gain = context.createGain();
      this.input.connect(gain, channel);
      gain.connect(this.output, 0, channel);
      return gain;
    });
  }

  set(pan) {
    this.sides[0].gain.value = Math.min(1, 1 - pan);
    this.sides[1].gain.value = Math.min(1, 1 + pan);
  }
}

function contextAt(rate) {
  try {
    return new AudioContext({ latencyHint: "interactive", sampleRate: rate });
  } catch {
    return new AudioContext({ latencyHint: "interactive" }); // a rate that this browser does not offer
  }
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// All stems of a job through Web Audio, sample-locked: pieces of one second of every stem start at one common time.

import { samples } from "./api.js";

const AHEAD = 2.5; // seconds that are scheduled before they are heard
const LOWEST_DB = -60;

export class Player {
  constructor() {
    this.job = null;
    this.mix = {}; // stem → {gain (dB), pan, mute, solo}
    this.isPlaying = false;
    this.rate = 1;
    this.loop = null; // [start, stop] in seconds
    this.pieces = new Map();
    this.sources = new Set();
    this.position = 0; // seconds, while it is not playing
  }

  open(job) {
    if (this.job?.id !== job.id) {
      this.pause();
      this.position = 0;
      this.loop = null;
      this.pieces.clear();
      this.mix = {};
      this.chains = null;
      this.startTime = undefined;
    }
    if (this.job?.id === job.id && job.n_samples < this.job.n_samples) this.pieces.clear(); // begun anew
    this.job = job;
    for (const stem of job.stems) this.mix[stem] ??= { gain: 0, pan: 0, mute: false, solo: false };
  }

  get length() {
    return this.job?.sample_rate ? this.job.n_samples / this.job.sample_rate : 0;
  }

  get now() {
    if (!this.isPlaying || this.startTime === undefined) return this.position;
    let position = this.startPosition + Math.max(0, this.context.currentTime - this.startTime) * this.rate;
    if (this.loop && position >= this.loop[1]) {
      const [start, stop] = this.loop;
      position = start + ((position - start) % (stop - start));
    }
    return Math.min(position, this.length);
  }

  async play() {
    if (!this.job?.stems.length || this.isPlaying) return;
    await this.openContext(this.job.sample_rate);
    await this.context.resume();
    this.connect();
    if (this.job.state === "done" && this.position >= this.length - 0.01) this.position = 0;
    this.isPlaying = true;
    this.run = {};
    this.startTime = undefined;
    this.schedule(this.run);
  }

  // A context at the song's own rate: pieces that were resampled one by one would not join.
  async openContext(rate) {
    if (this.context && this.contextRate !== rate) {
      const old = this.context;
      this.context = this.output = this.chains = null;
      await old.close();
    }
    this.contextRate = rate;
    this.context ??= contextAt(rate);
  }

  pause() {
    this.position = this.now;
    this.isPlaying = false;
    this.run = null;
    for (const source of this.sources) source.stop();
    this.sources.clear();
  }

  seek(seconds) {
    const wasPlaying = this.isPlaying;
    this.pause();
    this.position = Math.max(0, Math.min(seconds, this.length));
    if (wasPlaying) this.play();
  }

  setRate(rate) {
    const position = this.now;
    this.rate = rate;
    this.seek(position);
  }

  // One chain per stem: gain → pan → meter → output.
  connect() {
    if (this.chains) return;
    this.output ??= this.context.createGain();
    this.output.connect(this.context.destination);
    this.chains = {};
    for (const stem of this.job.stems) {
      const gain = this.context.createGain();
      const balance = new Balance(this.context);
      const meter = this.context.createAnalyser();
      meter.fftSize = 2048;
      gain.connect(balance.input);
      balance.output.connect(meter);
      meter.connect(this.output);
      this.chains[stem] = { gain, balance, meter };
    }
    this.applyMix();
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
  }

  level(stem) {
    if (!this.chains || !this.isPlaying) return 0;
    const meter = this.chains[stem].meter;
    const buffer = (meter.buffer ??= new Float32Array(meter.fftSize));
    meter.getFloatTimeDomainData(buffer);
    return Math.max(...buffer.map(Math.abs));
  }

  async schedule(run) {
    let next = this.position; // where in the song the next piece begins
    let at; // when it is heard
    while (this.isPlaying && this.run === run) {
      const { sample_rate: rate, n_samples: ready, state } = this.job;
      if (at !== undefined && at - this.context.currentTime > AHEAD) {
        await pause(100);
        continue;
      }
      if (this.loop && next >= this.loop[1] - 1e-6) next = this.loop[0];
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
      if (this.run !== run || !piece) continue;
      const offset = start / rate - piece.start;
      let seconds = piece.seconds - offset;
      if (this.loop && next < this.loop[1]) seconds = Math.min(seconds, this.loop[1] - next);
      if (seconds <= 0) {
        await pause(50);
        continue;
      }
      const soonest = this.context.currentTime + 0.08;
      if (at === undefined || at < soonest) {
        at = soonest; // the beginning, or after a wait
        this.startTime = at;
        this.startPosition = next;
      }
      for (const [stem, buffer] of Object.entries(piece.buffers)) {
        const source = this.context.createBufferSource();
        source.buffer = buffer;
        source.playbackRate.value = this.rate;
        source.connect(this.chains[stem].gain);
        source.start(at, offset, seconds);
        source.onended = () => this.sources.delete(source);
        this.sources.add(source);
      }
      at += seconds / this.rate;
      next = start / rate + seconds;
    }
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
    const all = await Promise.all(stems.map((stem) => samples(id, stem, start, count))).catch(() => null);
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
    if (length === rate || this.job.state === "done") {
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

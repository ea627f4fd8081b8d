// The tempo of a song, from taps or as a number, and its clicks.

const TAPS_TO_FORGET = 2.5; // seconds without a tap, after which the next one is the first
export const SLOWEST = 20;
export const FASTEST = 400;

export class Metronome {
  constructor() {
    Object.assign(this, { bpm: 0, first: 0, beats: 4, isOn: false, countsIn: false, taps: [] });
  }

  // A tap at `seconds` of the song. From the second one on taps give the tempo; where the first one was, a bar begins.
  tap(seconds) {
    const last = this.taps.at(-1);
    if (last === undefined || seconds - last > TAPS_TO_FORGET || seconds <= last) this.taps = [];
    this.taps.push(seconds);
    if (this.taps.length > 1) this.setTempo(this.taps);
  }

  // The line through the taps, by least squares: one tap that is late hardly matters.
  setTempo(taps) {
    const n = taps.length;
    const middle = (n - 1) / 2;
    const mean = taps.reduce((sum, time) => sum + time, 0) / n;
    const beat = taps.reduce((sum, time, i) => sum + (i - middle) * (time - mean), 0) / ((n * (n * n - 1)) / 12);
    this.bpm = Math.round(10 * Math.max(SLOWEST, Math.min(FASTEST, 60 / beat))) / 10;
    this.first = mean - middle * beat;
  }

  // The beats from `start` to before `stop`, in seconds of the song.
  within(start, stop) {
    if (!this.isOn || !this.bpm) return [];
    const beat = 60 / this.bpm;
    const found = [];
    for (let n = Math.ceil((start - this.first) / beat - 1e-6); this.first + n * beat < stop - 1e-6; n++) {
      found.push({ seconds: Math.max(start, this.first + n * beat), isFirst: ((n % this.beats) + this.beats) % this.beats === 0 });
    }
    return found;
  }

  // One bar of beats before the song begins, in seconds from the first of them; none where it does not count in.
  countIn(rate) {
    const beat = 60 / (this.bpm * rate);
    return this.countsIn && this.bpm ? Array.from({ length: this.beats + 1 }, (_, n) => n * beat) : [0];
  }
}

// A click at the context's time `at`; gives the source, which can be stopped.
export function click(context, output, at, isFirst) {
  const tone = new OscillatorNode(context, { frequency: isFirst ? 1760 : 1175 });
  const envelope = new GainNode(context, { gain: 0 });
  envelope.gain.setValueAtTime(0.5, at);
  envelope.gain.exponentialRampToValueAtTime(0.001, at + 0.05);
  tone.connect(envelope).connect(output);
  tone.start(at);
  tone.stop(at + 0.06);
  return tone;
}

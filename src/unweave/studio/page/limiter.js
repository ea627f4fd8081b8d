// A limiter for the sum of all stems: what would be louder than the ceiling is turned down in time, smoothly, and what is
// quieter stays as it is, 5 ms later. The lowest gain that a stretch of LOOK_AHEAD needs, averaged over a stretch of the same
// length, is never higher than what the sample in its middle needs.

const CEILING = 10 ** (-0.3 / 20);
const LOOK_AHEAD = 0.005; // seconds
const RELEASE = 0.15; // seconds, until the gain is nearly back

class Limiter extends AudioWorkletProcessor {
  constructor() {
    super();
    this.n = Math.max(1, Math.round(LOOK_AHEAD * sampleRate));
    this.delay = [0, 1].map(() => new Float32Array(this.n));
    this.needed = new Float32Array(this.n).fill(1); // of the last n samples
    this.lowest = new Float32Array(this.n).fill(1); // the minimum of `needed`, released slowly
    this.sum = this.n; // of `lowest`
    this.held = 1;
    this.at = 0;
    this.back = 1 - Math.exp(-1 / (RELEASE / 3 * sampleRate));
  }

  process([input], [output]) {
    const { n } = this;
    const sides = [0, 1].map((side) => input[side] ?? input[0]);
    for (let i = 0; i < output[0].length; i++) {
      const { at } = this;
      const peak = sides[0] ? Math.max(Math.abs(sides[0][i]), Math.abs(sides[1][i])) : 0;
      this.needed[at] = peak > CEILING ? CEILING / peak : 1;
      let lowest = 1;
      if (this.held < 1 || this.needed[at] < 1) for (const gain of this.needed) if (gain < lowest) lowest = gain;
      this.held = Math.min(lowest, this.held + (1 - this.held) * this.back);
      if (this.held > 0.99999) this.held = 1;
      this.sum += this.held - this.lowest[at];
      this.lowest[at] = this.held;
      const gain = Math.min(1, this.sum / n);
      for (const side of [0, 1]) {
        const delayed = this.delay[side][(at + 1) % n]; // the oldest sample of those whose gains are averaged
        this.delay[side][at] = sides[side]?.[i] ?? 0;
        if (output[side]) output[side][i] = delayed * gain;
      }
      this.at = (at + 1) % n;
    }
    return true;
  }
}

registerProcessor("unweave-limiter", Limiter);

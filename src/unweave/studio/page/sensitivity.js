// How much of what stems share goes to each of them: unweave/dsp/sensitivity.py, which says why, for samples that come in
// parts. Both channels go through one complex transform, the left as its real part and the right as its imaginary part: the
// gains of a bin are real and the same for both, so that nobody has to tell the channels apart.

export const NEUTRAL = 0.5;
export const N_FFT = 2048; // samples of a frame, and how much later everything comes out
const HOP = 512; // samples between frames
const DECADES = 4; // of power, between a sensitivity of 0 and one of 1
const SMALLEST = 1e-30; // a growth in share, so that what is given up always has a taker

// Only differences count: where there are none, stems stay as they are.
export const areEqual = (sensitivities) => sensitivities.every((each) => each === sensitivities[0]);

export class Resharer {
  // FFT is the class of the library fft.js; `sensitivities` has a number from 0 to 1 for each stem, and can be set at any
  // time; isWanted(stem's number) says whether that stem is asked for at all.
  constructor(FFT, sensitivities, isWanted = () => true) {
    const each = (make) => sensitivities.map(make);
    const frame = () => new Float64Array(2 * N_FFT); // left and right, or real and imaginary parts, in turn
    this.sensitivities = sensitivities;
    this.wanted = each((_, stem) => stem).filter(isWanted);
    this.fft = new FFT(N_FFT);
    this.window = frame().map((_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i >> 1)) / N_FFT));
    const gain = this.window.reduce((sum, weight) => sum + weight * weight, 0) / (2 * HOP);
    this.inverseWindow = this.window.map((weight) => weight / gain);
    Object.assign(this, { heard: each(frame), frames: each(frame), spectra: each(frame), sums: each(frame) });
    Object.assign(this, { powers: each(() => 0), kept: each(() => 0), taken: each(() => 0), weights: each(() => 1) });
    this.at = N_FFT - HOP; // samples of the next frame that are there
  }

  // The next `count` samples of all stems: inputs[stem] → outputs[stem], each [left, right]. They come out N_FFT samples later.
  // An input may be missing or too short, and is silent then; an output that is not wanted may be missing.
  push(inputs, outputs, count) {
    for (let done = 0; done < count;) {
      const n = Math.min(count - done, N_FFT - this.at);
      this.heard.forEach((heard, stem) => {
        for (const side of [0, 1]) {
          const input = inputs[stem]?.[side];
          const nGiven = input ? Math.max(0, Math.min(n, input.length - done)) : 0;
          for (let i = 0, to = 2 * this.at + side; i < n; i++, to += 2) heard[to] = i < nGiven ? input[done + i] : 0;
        }
      });
      for (const stem of this.wanted) {
        const sums = this.sums[stem];
        for (const side of [0, 1]) {
          const output = outputs[stem][side];
          for (let i = 0, from = 2 * (this.at - N_FFT + HOP) + side; i < n; i++, from += 2) output[done + i] = sums[from];
        }
      }
      this.at += n;
      done += n;
      if (this.at === N_FFT) this.turn();
    }
  }

  // A frame is complete: the first HOP of the sums are final with it.
  turn() {
    const { heard, frames, sums, window, inverseWindow } = this;
    heard.forEach((samples, stem) => {
      for (let i = 0; i < 2 * N_FFT; i++) frames[stem][i] = samples[i] * window[i];
      samples.copyWithin(0, 2 * HOP);
    });
    if (!areEqual(this.sensitivities)) this.share();
    for (const stem of this.wanted) {
      const sum = sums[stem];
      sum.copyWithin(0, 2 * HOP).fill(0, 2 * (N_FFT - HOP));
      for (let i = 0; i < 2 * N_FFT; i++) sum[i] += frames[stem][i] * inverseWindow[i];
    }
    this.at = N_FFT - HOP;
  }

  share() {
    const { fft, frames, spectra, sensitivities, weights } = this;
    sensitivities.forEach((value, stem) => { weights[stem] = 10 ** (DECADES * (value - NEUTRAL)); });
    const largest = Math.max(...weights);
    frames.forEach((frame, stem) => fft.transform(spectra[stem], frame));
    for (let k = 0; k <= N_FFT / 2; k++) this.shareBin(k, (N_FFT - k) % N_FFT, largest);
    for (const stem of this.wanted) fft.inverseTransform(frames[stem], spectra[stem]);
  }

  // A bin and the one of the negative frequency: both channels are in both of them.
  shareBin(up, down, largest) {
    const { spectra, weights, powers, kept, taken } = this;
    const n = spectra.length;
    let total = 0;
    let mean = 0; // the module's D
    for (let stem = 0; stem < n; stem++) {
      const bins = spectra[stem];
      powers[stem] = bins[2 * up] ** 2 + bins[2 * up + 1] ** 2 + bins[2 * down] ** 2 + bins[2 * down + 1] ** 2;
      total += powers[stem];
      mean += weights[stem] * powers[stem];
    }
    if (!total) return;
    mean /= total;
    let grown = 0;
    for (let stem = 0; stem < n; stem++) {
      kept[stem] = Math.min(1, weights[stem] / mean);
      taken[stem] = (powers[stem] / total) * Math.max(weights[stem] - mean, 0) + (weights[stem] === largest ? SMALLEST : 0);
      grown += taken[stem];
    }
    this.give(2 * up, grown);
    this.give(2 * up + 1, grown);
    if (up === down) return;
    this.give(2 * down, grown);
    this.give(2 * down + 1, grown);
  }

  // The number at place `i` of all spectra.
  give(i, grown) {
    const { spectra, kept, taken } = this;
    let givenUp = 0;
    for (let stem = 0; stem < spectra.length; stem++) givenUp += (1 - kept[stem]) * spectra[stem][i];
    const part = givenUp / grown;
    for (let stem = 0; stem < spectra.length; stem++) spectra[stem][i] = kept[stem] * spectra[stem][i] + taken[stem] * part;
  }
}

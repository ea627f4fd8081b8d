// The short-time Fourier transform of stereo sound, in the convention of unweave/dsp/stft.py: frames are not centred, the
// window is a periodic Hann, and the inverse divides by the constant sum of its square. Both channels share one complex
// transform: the left is its real part, the right its imaginary part.

export class StereoTransform {
  // FFT is the class of the library fft.js.
  constructor(FFT, { n_fft: nFft, hop_length: hop }) {
    Object.assign(this, { nFft, hop, nBins: nFft / 2 + 1, fft: new FFT(nFft) });
    this.window = Float32Array.from({ length: nFft }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / nFft));
    const gain = this.window.reduce((sum, weight) => sum + weight * weight, 0) / hop;
    this.inverseWindow = this.window.map((weight) => weight / gain);
    this.samples = new Float64Array(2 * nFft); // left, right, left, …
    this.bins = new Float64Array(2 * nFft); // real, imaginary, real, …
  }

  // The spectra of the frame that begins at `start`, from its place `at` on in `spectrum.left` and `.right`: real and
  // imaginary parts in turn, 2 · nBins numbers each.
  analyse([left, right], start, spectrum, at) {
    const { nFft, window, samples, bins } = this;
    for (let i = 0; i < nFft; i++) {
      samples[2 * i] = left[start + i] * window[i];
      samples[2 * i + 1] = right[start + i] * window[i];
    }
    this.fft.transform(bins, samples);
    for (let k = 0; k < this.nBins; k++) {
      const up = 2 * k;
      const down = 2 * ((nFft - k) % nFft);
      spectrum.left[at + up] = (bins[up] + bins[down]) / 2;
      spectrum.left[at + up + 1] = (bins[up + 1] - bins[down + 1]) / 2;
      spectrum.right[at + up] = (bins[up + 1] + bins[down + 1]) / 2;
      spectrum.right[at + up + 1] = (bins[down] - bins[up]) / 2;
    }
  }

  // Adds the frame at the place `at` of `spectrum`, each of its bins times `leftMask` and `rightMask` and the whole times
  // `weight`, to the samples of both channels from `start` on.
  addFrame(spectrum, at, leftMask, rightMask, weight, [left, right], start) {
    const { nFft, nBins, inverseWindow, samples, bins } = this;
    for (let k = 0; k < nBins; k++) {
      const leftReal = spectrum.left[at + 2 * k] * leftMask[k];
      const leftImaginary = spectrum.left[at + 2 * k + 1] * leftMask[k];
      const rightReal = spectrum.right[at + 2 * k] * rightMask[k];
      const rightImaginary = spectrum.right[at + 2 * k + 1] * rightMask[k];
      const down = 2 * ((nFft - k) % nFft);
      bins[down] = leftReal + rightImaginary;
      bins[down + 1] = rightReal - leftImaginary;
      bins[2 * k] = leftReal - rightImaginary;
      bins[2 * k + 1] = leftImaginary + rightReal;
    }
    this.fft.inverseTransform(samples, bins);
    for (let i = 0; i < nFft; i++) {
      const gain = inverseWindow[i] * weight;
      left[start + i] += samples[2 * i] * gain;
      right[start + i] += samples[2 * i + 1] * gain;
    }
  }
}

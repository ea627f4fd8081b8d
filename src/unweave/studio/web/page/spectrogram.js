// A stem's spectrogram: time to the right, pitch upwards in octaves, the level as opacity (unweave/studio/pictures.py).

import FFT from "./vendor/fft.js";

const N_FFT = 4096;
const [WIDTH, HEIGHT] = [800, 256];
const [LOWEST_HZ, HIGHEST_HZ, RANGE_DB] = [40, 20000, 70];

// Gives a PNG file of a finished job's stem.
export async function drawSpectrogram({ n_samples: nSamples, sample_rate: rate }, pieces) {
  const top = Math.min(HIGHEST_HZ, rate / 2);
  const bins = Array.from({ length: HEIGHT }, (_, y) => Math.round((LOWEST_HZ * (top / LOWEST_HZ) ** (y / (HEIGHT - 1)) * N_FFT) / rate));
  const window = Float64Array.from({ length: N_FFT }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / N_FFT));
  const fft = new FFT(N_FFT);
  const spectrum = fft.createComplexArray();
  const levels = new Float32Array(WIDTH * HEIGHT); // dB
  let column = 0;
  for (const piece of pieces) {
    const both = new Float32Array(await piece.samples.arrayBuffer());
    for (; column < WIDTH; column++) {
      const start = Math.floor((column * nSamples) / WIDTH) - piece.start;
      if (start >= piece.n_samples) break;
      const at = (i) => (start + i < piece.n_samples ? (both[start + i] + both[piece.n_samples + start + i]) / 2 : 0);
      fft.realTransform(spectrum, Array.from(window, (weight, i) => weight * at(i)));
      bins.forEach((bin, y) => { levels[column * HEIGHT + y] = 20 * Math.log10(Math.hypot(spectrum[2 * bin], spectrum[2 * bin + 1]) + 1e-4); });
    }
  }
  return paint(levels, Math.max(0, levels.reduce((most, level) => Math.max(most, level), -Infinity)));
}

async function paint(levels, loudest) {
  const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
  const context = canvas.getContext("2d");
  const image = context.createImageData(WIDTH, HEIGHT);
  levels.forEach((level, i) => {
    const share = Math.max(0, Math.min(1, (level - loudest + RANGE_DB) / RANGE_DB));
    const pixel = (HEIGHT - 1 - (i % HEIGHT)) * WIDTH + Math.floor(i / HEIGHT);
    image.data.set([255, 255, 255, 255 * share ** 1.5], 4 * pixel);
  });
  context.putImageData(image, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

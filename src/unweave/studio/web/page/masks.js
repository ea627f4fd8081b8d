// Ratio masks as in unweave/dsp/masks.py.

const EPSILON = 1e-10; // in silence every stem gets an equal share

// Each stem's share of one frame of one channel. `estimates` holds the network's magnitudes, whose stem s begins at
// `s · stride + at`; `groups` says which of the network's stems make up each of ours. Fills `masks` (one Float32Array of
// all bins per stem); bins that the network does not see get the mean of the highest quarter of those that it does.
export function ratioMasks(estimates, stride, at, nSeen, groups, masks) {
  const share = EPSILON / groups.length;
  const sums = masks.map(() => 0);
  for (let k = 0; k < nSeen; k++) {
    let total = EPSILON;
    groups.forEach((group, stem) => {
      let power = 0;
      for (const own of group) power += estimates[own * stride + at + k];
      masks[stem][k] = power;
      total += power;
    });
    for (let stem = 0; stem < masks.length; stem++) {
      masks[stem][k] = (masks[stem][k] + share) / total;
      if (k >= (nSeen * 3) >> 2) sums[stem] += masks[stem][k];
    }
  }
  masks.forEach((mask, stem) => mask.fill(sums[stem] / (nSeen - ((nSeen * 3) >> 2)), nSeen));
}

// Weights of a segment's frames, such that those of neighbours sum to one; the first has nothing to fade in from.
export function fadeWeights(nFrames, nShared, isFirst) {
  const weights = new Float32Array(nFrames).fill(1);
  for (let i = 0; i < nShared; i++) {
    if (!isFirst) weights[i] = (i + 0.5) / nShared;
    weights[nFrames - 1 - i] = (i + 0.5) / nShared;
  }
  return weights;
}

"""How much of what stems share goes to each of them, after they have been separated.

Where two stems sound at the same time and pitch, a model can only estimate how much of that is whose. A sensitivity
moves this line: the more sensitive a stem is, the more it takes of what it shares with others. (iZotope's Music
Rebalance has a control of that name. Its formula is not published; this one is ours.)

In each bin of the spectra, the share of stem i is that of its power, over all channels, so that nothing moves in the
stereo image: r_i = |X_i|² / Σ |X_j|². This is its gain in a Wiener filter. With the sensitivity s_i from 0 to 1, the
stem counts as 40 dB · (s_i − ½) louder than it was estimated, from −20 to +20 dB:

    w_i = 10^(4 s_i − 2)                    r_i' = w_i r_i / D,  where D = Σ w_j r_j

A stem whose share falls keeps the fraction w_i / D of what it has there. What it gives up goes to those whose share
grows, in proportion to the growth. Therefore:

* the stems still add up to the same sum, in every bin, except for rounding;
* every stem is made of parts of the stems that there were, and nothing is subtracted from anything;
* the more sensitive a stem is, the greater is its share in every bin where it is not alone, and no other share grows;
* a bin that belongs to one stem alone stays with it: a singer who pauses does not get the drums;
* only differences count: with all stems at 0.5, or all at any other value, nothing changes, and `reshared` then gives
  back the very same arrays.

What it cannot do is hear: it moves whole bins of 22 Hz and 46 ms (at 44.1 kHz) between stems by their level. Far from
0.5 the stem that gains also gets what really belongs to the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import numpy as np
import numpy.typing as npt

from unweave.dsp.frames import SpectralStream
from unweave.types import Spectrogram, Stems, Waveform

NEUTRAL = 0.5
DECADES = 4  # of power, between a sensitivity of 0 and one of 1
HOP_LENGTH = 512  # samples
SMALLEST = 1e-30  # a growth in share, so that what is given up always has a taker


def reshared(parts: Iterable[Stems], sensitivities: Mapping[str, float]) -> Iterator[Stems]:
    """Consecutive parts of the stems → the same stems with these ``sensitivities``, in parts of other lengths.

    Stems that are not named have `NEUTRAL`. In all, as many samples come out as go in. The memory needed does not
    depend on how many that is.
    """
    parts = iter(parts)
    first = next(parts, None)
    if first is None:
        return
    values = [sensitivities.get(name, NEUTRAL) for name in first]
    if len(set(values)) == 1:
        yield first
        yield from parts
        return
    names, n_channels = list(first), len(next(iter(first.values())))
    weights = 10 ** (DECADES * (np.array(values, np.float32) - np.float32(NEUTRAL)))

    def change(spectra: Spectrogram) -> Spectrogram:
        shared = spectra.reshape(len(names), n_channels, *spectra.shape[1:])
        return shared_anew(shared, weights).reshape(spectra.shape)

    def split(samples: Waveform) -> Stems:
        return Stems(dict(zip(names, np.split(samples, len(names)), strict=True)), first.sample_rate)

    n_rows = len(names) * n_channels
    stream = SpectralStream(change, n_rows, n_rows, HOP_LENGTH)
    for part in chain([first], parts):
        yield split(stream.push(np.concatenate([part[name] for name in names])))
    yield split(stream.flush())


def shared_anew(spectra: Spectrogram, weights: npt.NDArray[np.float32]) -> Spectrogram:
    """Spectra (stems, channels, frames, bins) and a weight > 0 for each stem, w_i above → the spectra shared anew."""
    power = (spectra.real**2 + spectra.imag**2).sum(axis=1)
    total = power.sum(axis=0)
    shares = np.divide(power, total, out=np.zeros_like(power), where=total > 0)
    weights = weights[:, None, None]
    mean = np.where(total > 0, (weights * shares).sum(axis=0), weights.max())  # D above
    kept = np.minimum(1, weights / mean)[:, None]
    grown = shares * np.maximum(weights - mean, 0) + SMALLEST * (weights == weights.max())
    taken = (grown / grown.sum(axis=0))[:, None]
    given_up = ((1 - kept) * spectra).sum(axis=0)
    anew: Spectrogram = kept * spectra + taken * given_up
    return anew

"""The multichannel Wiener filter, refined by one step of expectation–maximisation, for two channels.

Each stem is modelled as a Gaussian in every point of the spectrum, with a variance v(t, f) and a spatial covariance
R(f) of its two channels that does not change over time:

* N. Q. K. Duong, E. Vincent, R. Gribonval, "Under-determined reverberant audio source separation using a full-rank
  spatial covariance model", IEEE TASLP 18(7), 2010, equations 11–17;
* A. A. Nugraha, A. Liutkus, E. Vincent, "Multichannel audio source separation with deep neural networks", IEEE/ACM
  TASLP 24(9), 2016, section III.

First estimates come from the networks' magnitudes as a ratio mask; then v is their mean power over the channels, R
their mean covariance weighted by 1/v over time, and the filter is ``v R (Σ v R + √ε I)⁻¹``. This is what the library
norbert does in ``wiener(v, x)`` with its defaults, and so what Spleeter calls ``--mwf``; the constants are norbert's.

R sums over the whole track, which splits the work in two: `measure` sums over any stretch of it, `SpatialModel` takes
the sum of all, and `wiener_filter` applies it to any stretch. Memory does not grow with the track.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unweave.types import Magnitude, Spectrogram

EPSILON = float(np.finfo(np.float32).eps)

Float64 = npt.NDArray[np.float64]
Complex128 = npt.NDArray[np.complex128]


@dataclass(frozen=True)
class SpatialStatistics:
    """Sums over a stretch of a track of the first estimates; stretches add up with ``+``."""

    left: Float64  # (stems, bins): Σ |left|²
    right: Float64  # (stems, bins): Σ |right|²
    cross: Complex128  # (stems, bins): Σ left · right*
    peak: float  # the largest magnitude in the mixture's spectrum

    def __add__(self, other: SpatialStatistics) -> SpatialStatistics:
        return SpatialStatistics(
            self.left + other.left,
            self.right + other.right,
            self.cross + other.cross,
            max(self.peak, other.peak),
        )


def measure(estimates: npt.NDArray[np.float32], spectrum: Spectrogram) -> SpatialStatistics:
    """Statistics of a stretch: magnitudes (stems, 2, frames, bins) and the mixture (2, frames, ≥ bins)."""
    shares = _shares(estimates)
    mixture = spectrum[..., : estimates.shape[-1]]
    powers = np.square(shares) * (np.square(mixture.real) + np.square(mixture.imag))
    cross = (shares[:, 0] * shares[:, 1]) * (mixture[0] * mixture[1].conj())
    return SpatialStatistics(
        left=powers[:, 0].sum(axis=1, dtype=np.float64),
        right=powers[:, 1].sum(axis=1, dtype=np.float64),
        cross=cross.sum(axis=1, dtype=np.complex128),
        peak=float(np.abs(spectrum).max(initial=0.0)),
    )


class SpatialModel:
    """The covariances R of all stems, from the statistics of a track: (stems, bins) per entry of the 2×2 matrices."""

    def __init__(self, statistics: SpatialStatistics) -> None:
        # The mixture is scaled down for the sake of ε, as norbert does it.
        self.scale = max(1.0, statistics.peak / 10.0)
        square = self.scale**2
        power = (statistics.left + statistics.right) / 2
        weight = EPSILON + power / square
        self.left = (statistics.left / square / weight).astype(np.float32)
        self.right = (statistics.right / square / weight).astype(np.float32)
        self.cross = (statistics.cross / square / weight).astype(np.complex64)


def wiener_filter(
    estimates: npt.NDArray[np.float32], spectrum: Spectrogram, model: SpatialModel, stems: Sequence[int]
) -> npt.NDArray[np.complex64]:
    """The stems with the given indices: (stems, 2, frames, bins) magnitudes → (chosen, 2, frames, bins) spectra.

    ``spectrum`` is the mixture's, (2, frames, ≥ bins); bins beyond the estimates' are silent and left out.
    """
    mixture = spectrum[..., : estimates.shape[-1]] * np.float32(1 / model.scale)
    powers = np.square(mixture.real) + np.square(mixture.imag)
    variances = (np.square(_shares(estimates)) * powers).mean(axis=1)  # (stems, frames, bins)
    # The mixture's covariance Σ v R + √ε I is Hermitian, [[a, b], [b*, d]]; its inverse is [[d, −b], [−b*, a]] / det.
    # In float64: where the channels are nearly alike, the determinant is a small difference of large numbers.
    regularisation = np.sqrt(EPSILON)
    a = np.einsum("stf,sf->tf", variances, model.left, dtype=np.float64) + regularisation
    d = np.einsum("stf,sf->tf", variances, model.right, dtype=np.float64) + regularisation
    b = np.einsum("stf,sf->tf", variances, model.cross, dtype=np.complex128)
    inverse_determinant = 1.0 / (a * d - (np.square(b.real) + np.square(b.imag)))
    left = ((d * mixture[0] - b * mixture[1]) * inverse_determinant).astype(np.complex64)
    right = ((a * mixture[1] - b.conj() * mixture[0]) * inverse_determinant).astype(np.complex64)

    filtered = np.empty((len(stems), *mixture.shape), np.complex64)
    for row, stem in enumerate(stems):
        variance = variances[stem] * np.float32(model.scale)
        np.multiply(variance, model.left[stem] * left + model.cross[stem] * right, out=filtered[row, 0])
        np.multiply(variance, model.cross[stem].conj() * left + model.right[stem] * right, out=filtered[row, 1])
    return filtered


def _shares(estimates: Magnitude) -> npt.NDArray[np.float32]:
    """The ratio masks of the first estimates, from magnitudes to the power of one."""
    shares: npt.NDArray[np.float32] = estimates / (np.float32(EPSILON) + estimates.sum(axis=0))
    return shares

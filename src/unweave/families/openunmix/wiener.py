"""The Wiener filter of Open-Unmix, refined by expectation–maximisation, over one window of frames.

The model is that of `unweave.dsp.wiener`: a variance v(t, f) and a spatial covariance R(f) for each stem. What differs
follows ``openunmix.filtering.wiener`` 1.3.0: first estimates are the networks' magnitudes with the phase of the
mixture, which need not add up to it, ε is 1e-10, statistics are those of one window, and there may be several
iterations. One fault of the original is not kept: it sets the mixture to one wherever it is exactly zero, and a channel
that is silent for a while clicks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unweave.types import Spectrogram

EPSILON = 1e-10
LARGEST_MAGNITUDE = 10.0  # louder mixtures are scaled down to it for the sake of ε
BINS_AT_ONCE = 128  # each bin is filtered by itself; so many stay in the processor's cache

Complex128 = npt.NDArray[np.complex128]


def refine(estimates: npt.NDArray[np.float32], mixture: Spectrogram, n_iterations: int) -> Spectrogram:
    """Magnitudes (stems, channels, frames, bins) and the mixture (2, frames, bins) → stems (stems, 2, frames, bins).

    One channel of magnitudes stands for both. Computed in double precision: where channels are nearly alike, the
    determinant is a small difference of large numbers.
    """
    scale = max(1.0, float(np.abs(mixture).max(initial=0.0)) / LARGEST_MAGNITUDE) if n_iterations else 1.0
    refined = np.empty((len(estimates), *mixture.shape), np.complex64)
    for start in range(0, mixture.shape[-1], BINS_AT_ONCE):
        part = slice(start, start + BINS_AT_ONCE)
        wide = mixture[..., part].astype(np.complex128) / scale
        magnitude = np.abs(wide)
        phase = np.where(magnitude > 0, wide / np.where(magnitude > 0, magnitude, 1), 1)
        stems = (estimates[..., part] / scale * phase).astype(np.complex128)
        for _ in range(n_iterations):
            stems = _iterated(stems, wide)
        refined[..., part] = stems * scale
    return refined


def _iterated(stems: Complex128, mixture: Complex128) -> Complex128:
    """One iteration: variances and covariances of the estimates, and the filter v R (Σ v R + √ε I)⁻¹ they make."""
    powers = np.square(stems.real) + np.square(stems.imag)
    variances = powers.mean(axis=1)  # (stems, frames, bins)
    weight = EPSILON + variances.sum(axis=1)  # (stems, bins)
    left, right = (powers[:, channel].sum(axis=1) / weight for channel in (0, 1))
    cross = (stems[:, 0] * stems[:, 1].conj()).sum(axis=1) / weight
    # Σ v R + √ε I is Hermitian, [[a, b], [b*, d]]; its inverse is [[d, −b], [−b*, a]] / det.
    a = np.einsum("stf,sf->tf", variances, left) + np.sqrt(EPSILON)
    d = np.einsum("stf,sf->tf", variances, right) + np.sqrt(EPSILON)
    b = np.einsum("stf,sf->tf", variances, cross)
    determinant = a * d - (np.square(b.real) + np.square(b.imag))
    whitened = ((d * mixture[0] - b * mixture[1]) / determinant, (a * mixture[1] - b.conj() * mixture[0]) / determinant)
    filtered = np.empty_like(stems)
    filtered[:, 0] = variances * (left[:, None] * whitened[0] + cross[:, None] * whitened[1])
    filtered[:, 1] = variances * (cross.conj()[:, None] * whitened[0] + right[:, None] * whitened[1])
    return filtered

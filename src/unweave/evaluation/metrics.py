"""Figures of merit: BSS Eval v4 by museval, and two of one line each.

* BSS Eval v4: F.-R. Stöter, A. Liutkus, N. Ito, "The 2018 signal separation evaluation campaign", LVA/ICA 2018.
* SDR over the whole signal, as in the Music Demixing Challenge: Y. Mitsufuji et al., Frontiers in Signal Processing 1,
  2022, equation 1.
* SI-SDR: J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, "SDR – half-baked or well done?", ICASSP 2019, equation 5.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from unweave.types import Waveform

BSS_METRICS = ("SDR", "ISR", "SIR", "SAR")
EPSILON = 1e-10


def sdr(reference: Waveform, estimate: Waveform) -> float:
    """Signal-to-distortion ratio over all samples and channels, in dB."""
    reference = reference.astype(np.float64)
    distortion = np.square(reference - estimate).sum()
    return float(10 * np.log10((np.square(reference).sum() + EPSILON) / (distortion + EPSILON)))


def si_sdr(reference: Waveform, estimate: Waveform) -> float:
    """Scale-invariant signal-to-distortion ratio, in dB: the reference is scaled to fit the estimate best."""
    reference = reference.astype(np.float64)
    scale = (reference * estimate).sum() / (np.square(reference).sum() + EPSILON)
    return sdr(scale * reference, estimate)


def is_silent(waveform: Waveform) -> bool:
    """Whether museval takes ``waveform`` (channels, samples) for silent: the sum of its channels is 0 throughout."""
    return not np.any(waveform.sum(axis=0))


def bss_eval(
    references: npt.NDArray[np.float32], estimates: npt.NDArray[np.float32], sample_rate: int
) -> dict[str, npt.NDArray[np.float64]]:
    """BSS Eval v4 over windows of one second: (stems, channels, samples) each → metric → (stems, windows) in dB.

    A window in which a stem is silent has no value (NaN); a signal shorter than a second is one window. Raises
    ValueError for a stem that is silent throughout, see `is_silent`.
    """
    import museval

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = museval.evaluate(
            references.transpose(0, 2, 1), estimates.transpose(0, 2, 1), win=sample_rate, hop=sample_rate, mode="v4"
        )
    return {name: np.asarray(value) for name, value in zip(BSS_METRICS, values, strict=True)}

"""What training makes small. All take an `Estimate` and return a scalar; smaller is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from unweave.training.plan import LossName
from unweave.training.spectrum import Transform

EPSILON = 1e-8
FLOOR_DB = -30.0  # errors this far below the mixture count no more
RESOLUTIONS = (512, 1024, 2048, 4096)


class Call(Protocol):
    """How arithmetic on tensors is done."""

    def __call__(self, function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        """``function(*tensors)``."""


def plainly(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """A `Call` that just calls."""
    return function(*tensors)


def compiled() -> Call:
    """A `Call` that compiles each function when it is first called: one pass over memory instead of many."""
    ready: dict[Callable[..., Tensor], Callable[..., Tensor]] = {}

    def call(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        if function not in ready:
            ready[function] = torch.compile(function)
        return ready[function](*tensors)

    return call


@dataclass(frozen=True)
class Truth:
    """The true stems of a batch and what follows from them, each computed once.

    Spectra are (stems, segments, channels, frames, bins), waveforms (stems, segments, channels, samples).
    """

    transform: Transform
    waveforms: Tensor
    call: Call = plainly

    @cached_property
    def spectra(self) -> Tensor:
        """The stems' spectra."""
        return self.transform.forward(self.waveforms)

    @cached_property
    def mixture_spectrum(self) -> Tensor:
        """(segments, channels, frames, bins)."""
        return self.spectra.sum(0)

    @cached_property
    def mixture(self) -> Tensor:
        """Its magnitudes, which the network sees."""
        return self.mixture_spectrum.abs()

    @cached_property
    def in_phase(self) -> Tensor:
        """The stems' spectra, projected onto the mixture's phase: what real masks can reach."""
        return self.call(_along_phase, torch.view_as_real(self.spectra), torch.view_as_real(self.mixture_spectrum))

    @cached_property
    def parts(self) -> Tensor:
        """The waveforms without the ends of the segment, where frames are missing."""
        return self.transform.whole_part(self.waveforms)


@dataclass(frozen=True)
class Estimate:
    """Estimated magnitudes of a batch (stems, segments, channels, frames, bins), beside the truth."""

    truth: Truth
    magnitudes: Tensor

    @cached_property
    def waveforms(self) -> Tensor:
        """The estimates with the mixture's phase, without the ends of the segment."""
        scale = self.magnitudes / self.truth.mixture.clamp_min(EPSILON)
        transform = self.truth.transform
        return transform.whole_part(transform.inverse(scale * self.truth.mixture_spectrum))


def magnitude_l1(estimate: Estimate) -> Tensor:
    """The original's: mean absolute difference of magnitudes, summed over the stems (Spleeter's ``L1_mask``)."""
    return (estimate.magnitudes - estimate.truth.spectra.abs()).abs().mean(dim=(1, 2, 3, 4)).sum()


def spectrum_l1(estimate: Estimate) -> Tensor:
    """Mean absolute difference of spectra along the mixture's phase, relative to the mixture's, summed over the stems.

    Linear in the error, so that no stem can become the place where all others leave what they are unsure of, as it does
    with `spectrum_sdr` alone, where an error twice as large costs 3 dB however large it is.
    """
    return estimate.truth.call(_l1_ratio, estimate.magnitudes, estimate.truth.in_phase, estimate.truth.mixture)


def spectrum_l2(estimate: Estimate) -> Tensor:
    """The error's root mean square along the mixture's phase, relative to the mixture's, summed over the stems.

    Linear in the error as `spectrum_l1`, but led by the loudest bins, as the SDR is; per stem and segment, so that one
    bad segment does not drown the rest.
    """
    return estimate.truth.call(_l2_ratio, estimate.magnitudes, estimate.truth.in_phase, estimate.truth.mixture)


def waveform_l1(estimate: Estimate) -> Tensor:
    """Mean absolute difference of samples."""
    return (estimate.waveforms - estimate.truth.parts).abs().mean()


def spectrum_sdr(estimate: Estimate) -> Tensor:
    """The error's energy in dB, per stem and segment, relative to the stem's, by the spectra.

    10 log10(‖s − ŝ‖² + τ ‖x‖²) − 10 log10(‖s‖² + τ ‖x‖²) with τ = −30 dB: the thresholded SNR of S. Wisdom et al.,
    "Unsupervised sound separation using mixture invariant training" (2020), equation 2, with the mixture x in place of
    the source so that a stem that is not there has a bounded loss too (as in "What's all the FUSS about free universal
    sound separation data?", 2021).
    """
    stem, mixture = _energy(estimate.truth.spectra), _energy(estimate.truth.mixture_spectrum)
    # Estimates have the mixture's phase, so that their error has a part along it and a part that no mask changes.
    fixed = stem - _energy(estimate.truth.in_phase)
    error = _energy(estimate.magnitudes - estimate.truth.in_phase) + fixed.clamp_min(0)
    floor = 10 ** (FLOOR_DB / 10) * mixture + EPSILON
    return 10 * (torch.log10(error + floor) - torch.log10(stem + floor)).mean()


def si_sdr(estimate: Estimate) -> Tensor:
    """Minus the scale-invariant SDR in dB (J. Le Roux et al., "SDR – half-baked or well done?", 2019).

    Stems that cannot be heard are left out; channels are projected together.
    """
    true, own = estimate.truth.parts.flatten(2), estimate.waveforms.flatten(2)
    energy = true.square().sum(-1)
    target = ((own * true).sum(-1) / (energy + EPSILON))[..., None] * true
    error = (own - target).square().sum(-1)
    values = 10 * torch.log10((target.square().sum(-1) + EPSILON) / (error + EPSILON))
    audible = energy > energy.new_tensor(1e-6) * true.shape[-1]
    return -(values * audible).sum() / audible.sum().clamp_min(1)


def multi_resolution_stft(estimate: Estimate) -> Tensor:
    """Spectral convergence plus log-magnitude distance over four window lengths.

    R. Yamamoto et al., "Parallel WaveGAN", ICASSP 2020, equations 3 to 6.
    """
    own, true = estimate.waveforms.flatten(0, 2), estimate.truth.parts.flatten(0, 2)
    total = own.new_zeros(())
    for n_fft in RESOLUTIONS:
        window = torch.hann_window(n_fft, device=own.device)
        a, b = (
            torch.stft(signal, n_fft, n_fft // 4, window=window, return_complex=True).abs() for signal in (own, true)
        )
        convergence = (a - b).norm() / b.norm().clamp_min(EPSILON)
        total = total + convergence + ((a + 1e-3).log() - (b + 1e-3).log()).abs().mean()
    return total / len(RESOLUTIONS)


LOSSES: Mapping[LossName, Callable[[Estimate], Tensor]] = {
    "magnitude_l1": magnitude_l1,
    "spectrum_l1": spectrum_l1,
    "spectrum_l2": spectrum_l2,
    "spectrum_sdr": spectrum_sdr,
    "waveform_l1": waveform_l1,
    "si_sdr": si_sdr,
    "multi_resolution_stft": multi_resolution_stft,
}


# Of a segment, without the ends that not all frames cover; what looks at spectra needs none of them.
FEWEST_SAMPLES: Mapping[LossName, int] = {
    "waveform_l1": 1,
    "si_sdr": 1,
    "multi_resolution_stft": max(RESOLUTIONS) // 2 + 1,  # reflected at both ends
}


def weighted_loss(estimate: Estimate, weights: Mapping[LossName, float]) -> Tensor:
    """The sum of the named losses, each times its weight."""
    return torch.stack([weight * LOSSES[name](estimate) for name, weight in weights.items()]).sum()


def _along_phase(spectra: Tensor, mixture: Tensor) -> Tensor:
    """Both as real and imaginary parts in the last axis, which goes."""
    magnitude = (mixture.square().sum(-1, keepdim=True) + EPSILON**2).sqrt()
    return (spectra * (mixture / magnitude)).sum(-1)


def _l1_ratio(magnitudes: Tensor, true: Tensor, mixture: Tensor) -> Tensor:
    axes = (-3, -2, -1)
    return ((magnitudes - true).abs().mean(axes) / (mixture.mean(axes) + EPSILON)).sum(0).mean()


def _l2_ratio(magnitudes: Tensor, true: Tensor, mixture: Tensor) -> Tensor:
    axes = (-3, -2, -1)
    error = ((magnitudes - true).square().mean(axes) + EPSILON**2).sqrt()
    return (error / (mixture.square().mean(axes).sqrt() + EPSILON)).sum(0).mean()


def _energy(spectrum: Tensor) -> Tensor:
    """The sum of squares over channels, frames and bins."""
    parts = torch.view_as_real(spectrum) if spectrum.is_complex() else spectrum
    n_kept = spectrum.ndim - 3
    norm: Tensor = torch.linalg.vector_norm(parts.flatten(n_kept), dim=-1)
    return norm * norm

"""A mixture as the stacked bins of several bands, and back.

The highest band has the mixture's rate. Each lower one is resampled from the one above; the transforms' hops are such
that frames of all bands lie at the same times. Stacked bins follow ``spec_utils`` of audio-separator 0.47.1, with one
resampler, polyphase filters, where it takes another one for each band and platform (on ARM Macs the same).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from unweave.dsp.centred_stft import centred_istft
from unweave.dsp.polyphase import resample_segment
from unweave.dsp.stft import analyse
from unweave.families.vr.spec import N_CHANNELS, Band, VrSpec
from unweave.types import Spectrogram, Waveform

Gains = npt.NDArray[np.float32]


def stacked_bins(mixture: Waveform, spec: VrSpec) -> Spectrogram:
    """(2, samples) → (2, frames, bins + 1): the bins of all bands, lowest band first, and a silent one at the end."""
    wave, spectra = mixture, []
    for upper, band in pairwise((None, *reversed(spec.bands))):
        assert band is not None
        if upper is not None:
            wave = resample_segment(wave, upper.sample_rate, band.sample_rate)
        spectra.append(_spectrum(wave, band, spec)[..., band.crop_start : band.crop_stop])
    n_frames = min(spectrum.shape[1] for spectrum in spectra)
    stacked = np.zeros((N_CHANNELS, n_frames, spec.n_bins + 1), np.complex64)
    start = 0
    for spectrum in reversed(spectra):
        stacked[..., start : start + spectrum.shape[2]] = spectrum[:, :n_frames]
        start += spectrum.shape[2]
    stacked *= _pre_filter(spec)
    return stacked


def joined_bands(stacked: Spectrogram, spec: VrSpec) -> Waveform:
    """The inverse of `stacked_bins`, but for what bands share and lack: (2, frames, ≥ bins) → (2, samples)."""
    start, wave = 0, None
    for k, band in enumerate(spec.bands):
        spectrum = np.zeros((N_CHANNELS, stacked.shape[1], band.n_fft // 2 + 1), np.complex64)
        n_bins = band.crop_stop - band.crop_start
        spectrum[..., band.crop_start : band.crop_stop] = stacked[..., start : start + n_bins]
        start += n_bins
        is_lowest, is_highest = k == 0, k == len(spec.bands) - 1
        if (is_highest and band.hpf_start > 0) or not (is_lowest or is_highest):
            spectrum *= _high_pass(band, spec)
        if not is_highest:
            spectrum *= _low_pass(band, spec)
        part = _waveform(spectrum, band, spec)
        if wave is not None:
            n_samples = min(wave.shape[1], part.shape[1])
            part = wave[:, :n_samples] + part[:, :n_samples]
        wave = part if is_highest else resample_segment(part, band.sample_rate, spec.bands[k + 1].sample_rate)
    assert wave is not None
    return wave


def _spectrum(wave: Waveform, band: Band, spec: VrSpec) -> Spectrogram:
    """Frames centred on multiples of the hop, with silence before and after: (2, samples) → (2, frames, bins)."""
    if spec.version == "5":
        left, right = wave
        if spec.channels == "reverse":
            wave = wave[:, ::-1]
        elif spec.channels == "mid_side":
            wave = np.stack([(left + right) / 2, left - right])
        elif spec.channels == "mid_side_b2":
            wave = np.stack([right + left * np.float32(0.5), left - right * np.float32(0.5)])
    half = band.n_fft // 2
    spectrum = analyse(np.pad(wave, [(0, 0), (half, half)]), band.n_fft, band.hop_length)
    if spec.version == "5":
        return spectrum
    left, right = spectrum
    if band.channels == "mid_side_c":
        return np.stack([left + right * np.float32(0.25), right - left * np.float32(0.25)])
    if band.channels == "mid_side":
        return np.stack([(left + right) / 2, left - right])
    if band.channels == "stereo_n":
        mixed = np.stack([left + right * np.float32(0.25), right + left * np.float32(0.25)])
        return (mixed / np.float32(0.9375)).astype(np.complex64)
    return spectrum


def _waveform(spectrum: Spectrogram, band: Band, spec: VrSpec) -> Waveform:
    n_samples = (spectrum.shape[1] - 1) * band.hop_length
    left, right = wave = centred_istft(spectrum, n_samples, band.n_fft, band.hop_length)
    channels = spec.channels if spec.version == "5" else band.channels
    if channels == "reverse":
        return wave[:, ::-1]
    if channels == "mid_side":
        return np.stack([left + right / 2, left - right / 2])
    if channels == "mid_side_b2":
        return np.stack(
            [right / np.float32(1.25) + left * np.float32(0.4), left / np.float32(1.25) - right * np.float32(0.4)]
        )
    if channels == "mid_side_c":
        return np.stack(
            [left / np.float32(1.0625) - right / np.float32(4.25), right / np.float32(1.0625) + left / np.float32(4.25)]
        )
    if channels == "stereo_n":  # the reference's own, which undoes its mixing but for a factor
        return np.stack([left - right * np.float32(0.25), right - left * np.float32(0.25)])
    return wave


def _pre_filter(spec: VrSpec) -> Gains:
    start, stop, n_bins = spec.pre_filter_start, spec.pre_filter_stop, spec.n_bins + 1
    if start <= 0:
        return np.ones(n_bins, np.float32)
    if spec.version == "5.1":
        return _ramp_down(n_bins, start, stop)
    if len(spec.bands) == 1:
        return _stairs_down(n_bins, start, stop)
    gains, gain = np.ones(n_bins), 1.0
    for row in range(start + 1, min(stop, n_bins)):
        gain = 10 ** (-(row - start) * (3.5 - gain) / 20)
        gains[row] = gain
    return gains.astype(np.float32)


def _low_pass(band: Band, spec: VrSpec) -> Gains:
    made = _ramp_down if spec.version == "5.1" else _stairs_down
    return made(band.n_fft // 2 + 1, band.lpf_start, band.lpf_stop)


def _high_pass(band: Band, spec: VrSpec) -> Gains:
    n_bins, start, stop = band.n_fft // 2 + 1, band.hpf_start, band.hpf_stop - 1
    if spec.version == "5.1":
        parts = [np.zeros(stop + 1), np.linspace(0, 1, 1 + start - stop), np.ones(n_bins - start - 2)]
        return np.concatenate(parts).astype(np.float32)
    gains = np.ones(n_bins)
    gains[stop + 1 : start + 1] = 1 - np.arange(start - stop, 0, -1) / (start - stop)
    gains[: stop + 1] = 0
    return gains.astype(np.float32)


def _ramp_down(n_bins: int, start: int, stop: int) -> Gains:
    parts = [np.ones(start - 1), np.linspace(1, 0, stop - start + 1), np.zeros(n_bins - stop)]
    return np.concatenate(parts).astype(np.float32)


def _stairs_down(n_bins: int, start: int, stop: int) -> Gains:
    gains = np.ones(n_bins)
    if stop > start:
        gains[start:stop] = 1 - np.arange(1, stop - start + 1) / (stop - start)
    gains[stop:] = 0
    return gains.astype(np.float32)

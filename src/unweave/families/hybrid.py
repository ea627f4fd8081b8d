"""A hybrid waveform model on one segment: samples and their spectrum → stems.

Hybrid Transformer Demucs: S. Rouard, F. Massa, A. Défossez, "Hybrid transformers for music source separation", ICASSP
2023. The transforms are those of its ``_spec`` and ``_ispec``: reflected borders, frames centred, normalised by √n_fft,
the highest bin and two frames at either end left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unweave.dsp.memory import large_zeros
from unweave.dsp.stft import add_frames, analyse
from unweave.engines.base import HybridNetwork
from unweave.engines.choose import Runtime
from unweave.errors import OptionError
from unweave.families.base import Loaded, LoadOptions
from unweave.models.resolve import ResolvedModel
from unweave.models.spec import ModelSpec, WaveformModelSpec
from unweave.types import Spectrogram, Waveform

N_DROPPED_FRAMES = 2  # at either end
NORMALISATION_FLOOR = 1e-5


def check(spec: ModelSpec, runtime: Runtime) -> None:
    """See `unweave.families.load.Family`."""
    if not runtime.is_float32_on_cpu:
        raise OptionError(
            f"{spec.name} runs on the CPU in float32 only, not with device {runtime.device} and precision "
            f"{runtime.precision}"
        )


def load(resolved: ResolvedModel, options: LoadOptions) -> Loaded:
    """See `unweave.families.load.Family`. These networks are exported files, which run on the CPU in float32."""
    spec = resolved.spec
    assert isinstance(spec, WaveformModelSpec)
    runtime = options.runtime
    from unweave.engines.onnx import OnnxHybridNetwork

    network = OnnxHybridNetwork(resolved.locate(options.offline, options.on_download), runtime.n_threads)
    return Loaded(spec, WaveformSeparator(spec, network), fills_all_cores=True)


class WaveformSeparator:
    """Separates segments of a mixture; neighbours are cross-faded with triangular weights."""

    def __init__(self, spec: WaveformModelSpec, network: HybridNetwork) -> None:
        self._spec = spec
        self._network = network
        self.segmentation = spec.segmentation
        weights = triangle_weights(self.segmentation.length, self.segmentation.hop)
        first = weights.copy()
        first[: self.segmentation.length - self.segmentation.hop] = 1  # nothing to fade in from
        self._weights = [weights, first]

    def separate(self, segment: Waveform, stems: Sequence[int], *, is_first: bool) -> npt.NDArray[np.float32]:
        """The stems with the given indices: (channels, length) → (stems, channels, length), to be added up."""
        mono = segment.mean(axis=0)
        mean, deviation = float(mono.mean()), float(mono.std())
        if deviation < NORMALISATION_FLOOR:  # silence in, silence out
            return large_zeros((len(stems), *segment.shape))
        normalised = (segment - np.float32(mean)) / np.float32(deviation)
        spectra, waveforms = self._network.run(normalised, as_channels(self._spectrum(normalised)))
        separated = large_zeros((len(stems), *segment.shape))
        for row, stem in enumerate(stems):
            separated[row] = waveforms[stem] + self._waveform(from_channels(spectra[stem]), segment.shape[1])
        separated *= np.float32(deviation)
        separated += np.float32(mean)
        separated *= self._weights[is_first]
        return separated

    def _spectrum(self, segment: Waveform) -> Spectrogram:
        """(channels, samples) → (channels, frames, bins): one frame per hop, ⌈samples / hop⌉ in all."""
        hop, n_fft = self._spec.hop_length, self._spec.n_fft
        n_frames = -(-segment.shape[1] // hop)
        pad = hop // 2 * 3
        padded = np.pad(segment, [(0, 0), (pad, pad + n_frames * hop - segment.shape[1])], mode="reflect")
        centred = np.pad(padded, [(0, 0), (n_fft // 2, n_fft // 2)], mode="reflect")
        spectrum = analyse(centred, n_fft, hop, n_fft // 2) / np.float32(np.sqrt(n_fft))
        return spectrum[:, N_DROPPED_FRAMES : N_DROPPED_FRAMES + n_frames]

    def _waveform(self, spectrum: Spectrogram, n_samples: int) -> Waveform:
        """The inverse of `_spectrum`."""
        hop, n_fft = self._spec.hop_length, self._spec.n_fft
        n_channels, n_frames, n_bins = spectrum.shape
        framed = np.zeros((n_channels, n_frames + 2 * N_DROPPED_FRAMES, n_bins), np.complex64)
        framed[:, N_DROPPED_FRAMES:-N_DROPPED_FRAMES] = spectrum * np.float32(np.sqrt(n_fft))
        samples = np.zeros((n_channels, (framed.shape[1] - 1) * hop + n_fft), np.float32)
        add_frames(samples, 0, framed, n_fft, hop)
        start = n_fft // 2 + hop // 2 * 3
        return samples[:, start : start + n_samples]


def triangle_weights(length: int, hop: int) -> npt.NDArray[np.float32]:
    """Weights that rise and fall along a segment, divided so that those of overlapping segments sum to one."""
    rise = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)).astype(np.float64)
    total = rise.copy()
    for shift in range(hop, length, hop):
        total[shift:] += rise[:-shift]
        total[:-shift] += rise[shift:]
    return (rise / total).astype(np.float32)


def as_channels(spectrum: Spectrogram) -> npt.NDArray[np.float32]:
    """(channels, frames, bins) complex → (2 · channels, bins, frames): real and imaginary parts in turn."""
    parts = np.stack([spectrum.real, spectrum.imag], axis=1)  # (channels, 2, frames, bins)
    return np.ascontiguousarray(parts.reshape(-1, *spectrum.shape[1:]).transpose(0, 2, 1))


def from_channels(channels: npt.NDArray[np.float32]) -> Spectrogram:
    """The inverse of `as_channels`."""
    parts = channels.reshape(-1, 2, *channels.shape[1:])
    return (parts[:, 0] + 1j * parts[:, 1]).transpose(0, 2, 1).astype(np.complex64)

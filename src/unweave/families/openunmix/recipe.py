"""What surrounds Open-Unmix: magnitudes of a segment in, estimates out, the Wiener filter, segments that overlap.

The original takes a whole track at once (`separate_track`), and its recurrent layers remember what was minutes ago. A
stream has segments of half a minute, of which a quarter is cross-faded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unweave.dsp.centred_stft import centred_istft, centred_stft
from unweave.dsp.fades import shares
from unweave.dsp.memory import large_zeros
from unweave.dsp.segments import Segmentation
from unweave.families.openunmix.spec import OpenUnmixSpec
from unweave.families.openunmix.wiener import refine
from unweave.families.segment_options import LARGEST_CROSSFADE, hop_for
from unweave.types import Spectrogram, Waveform


class MagnitudeNetworks(Protocol):
    """The networks of all stems, loaded and ready; may be called from several threads at once."""

    def run(self, *arrays: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """(frames, channels, bins) → [(stems, frames, channels, bins)], see `unweave.families.openunmix.graph`."""
        ...


class OpenUnmixSeparator:
    """Separates one segment at a time, as `unweave.engines.base.SegmentSeparator`."""

    def __init__(self, spec: OpenUnmixSpec, networks: MagnitudeNetworks, hop: int | None = None) -> None:
        self.spec = spec
        self._networks = networks
        hop = hop or spec.hop_samples
        self.segmentation = Segmentation(length=spec.segment_samples, hop=hop, lead=0)
        window = np.hanning(spec.segment_samples + 2)[1:-1]  # without the zeros at its ends
        self._weights = [shares(window, hop, is_first=first) for first in (False, True)]

    def with_overlap(self, overlap: float) -> OpenUnmixSeparator:
        """The same with another share of a segment that the next one shares: at most a half."""
        hop = hop_for(overlap, self.spec.segment_samples, LARGEST_CROSSFADE)
        return OpenUnmixSeparator(self.spec, self._networks, hop)

    @property
    def stems(self) -> tuple[str, ...]:
        """The names of what `separate` gives."""
        return self.spec.all_stems

    def separate(self, segment: Waveform, stems: Sequence[int], *, is_first: bool) -> npt.NDArray[np.float32]:
        """The stems with the given indices: (channels, length) → (stems, channels, length), to be added up."""
        if not segment.any():  # silence in, silence out
            return large_zeros((len(stems), *segment.shape))
        separated = separate_track(self, segment, stems)
        separated *= self._weights[is_first]
        return separated

    def spectra(self, mixture: Spectrogram) -> Spectrogram:
        """The stems of a mixture: (2, frames, bins) → (stems, 2, frames, bins)."""
        spec = self.spec
        magnitudes = np.abs(mixture).transpose(1, 0, 2)  # (frames, channels, bins)
        if spec.n_channels == 1:
            magnitudes = magnitudes.mean(axis=1, keepdims=True)
        (estimates,) = self._networks.run(np.ascontiguousarray(magnitudes))
        refined = np.empty((len(spec.stems), *mixture.shape), np.complex64)
        for start in range(0, mixture.shape[1], spec.n_wiener_frames):
            part = slice(start, start + spec.n_wiener_frames)
            refined[:, :, part] = refine(estimates[:, part].transpose(0, 2, 1, 3), mixture[:, part], spec.n_iterations)
        return refined


def separate_track(
    separator: OpenUnmixSeparator, mixture: Waveform, stems: Sequence[int] | None = None
) -> npt.NDArray[np.float32]:
    """A whole track at once, exactly as the original does: (channels, samples) → (stems, channels, samples)."""
    spec = separator.spec
    chosen = range(len(spec.all_stems)) if stems is None else stems
    spectra = separator.spectra(centred_stft(mixture, spec.n_fft, spec.hop_length))
    separated = large_zeros((len(chosen), *mixture.shape))
    for row, stem in enumerate(chosen):
        is_complement = stem == len(spec.stems)
        spectrum = spectra[0 if is_complement else stem]
        waveform = centred_istft(spectrum, mixture.shape[1], spec.n_fft, spec.hop_length)
        separated[row] = mixture - waveform if is_complement else waveform
    return separated

"""What surrounds a VR network: stacked bands in, masks for windows of frames out, and stems as shares of the mixture.

The recipe is that of audio-separator 0.47.1 (``VRSeparator.inference_vr``), without its options.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unweave.dsp.fades import shares
from unweave.dsp.memory import large_zeros
from unweave.dsp.segments import Segmentation
from unweave.families.vr.bands import joined_bands, stacked_bins
from unweave.families.vr.spec import VrSpec
from unweave.types import Magnitude, Waveform

N_WINDOWS = 8  # of the network in a segment
OVERLAP_FRAMES = 64  # which neighbouring segments share
STEM = 0  # the other one is the complement
# Stems of which UVR's masks are softened where those of others are sharpened.
NOT_ACCOMPANIMENT = {
    "vocals", "other", "bass", "drums", "guitar", "piano", "synthesizer", "strings", "woodwinds", "brass", "wind_inst",
}  # fmt: skip


class MaskNetwork(Protocol):
    """The network, loaded and ready; may be called from several threads at once."""

    def run(self, *arrays: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """(1, 2, bins, frames) → [(1, 2, bins, frames)], see `unweave.families.vr.graph`."""
        ...


class VrSeparator:
    """Separates one segment at a time, as `unweave.engines.base.SegmentSeparator`: the stem, then the complement.

    Each segment is brought to one level for the network, where the original brings the whole track to one.
    """

    def __init__(self, spec: VrSpec, network: MaskNetwork) -> None:
        self.spec = spec
        self._network = network
        hop = spec.bands[-1].hop_length
        # One frame more than hops; the last window is not quite full, so that there is none with padding alone.
        length = hop * (N_WINDOWS * spec.n_given_frames - 2)
        self.segmentation = Segmentation(length=length, hop=length - hop * OVERLAP_FRAMES, lead=0)
        window = np.hanning(length + 2)[1:-1]
        self._weights = [shares(window, self.segmentation.hop, is_first=first) for first in (False, True)]

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

    def mask(self, magnitudes: Magnitude) -> npt.NDArray[np.float32]:
        """The stem's share of each point: (2, frames, bins + 1) → the same."""
        spec = self.spec
        n_found, n_given, edge = magnitudes.shape[1], spec.n_given_frames, spec.n_edge_frames
        loudest = float(magnitudes.max(initial=0.0)) or 1.0
        scaled = (magnitudes / np.float32(loudest)).transpose(0, 2, 1)
        padded = np.pad(scaled, [(0, 0), (0, 0), (edge, n_given - n_found % n_given + edge)])
        masks = []
        for start in range(0, n_found, n_given):
            window = padded[None, :, : spec.n_bins, start : start + spec.n_frames]
            (found,) = self._network.run(np.ascontiguousarray(window))
            masks.append(found[0, :, :, edge:-edge])
        mask = np.concatenate(masks, axis=2)[..., :n_found].transpose(0, 2, 1)
        whole = np.concatenate([mask, mask[..., -1:]], axis=2)
        return self._sharpened(whole)

    def _sharpened(self, mask: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Masks to a power, which is larger for the upper bands."""
        spec = self.spec
        if spec.aggression == 0:
            return mask
        strength = 2 * spec.aggression
        if spec.stems[0] in NOT_ACCOMPANIMENT:
            strength = 1 - strength
        split = spec.bands[0].crop_stop
        for channel, correction in enumerate(spec.corrections):
            power = strength + correction
            mask[channel, :, :split] **= np.float32(1 + power / 3)
            mask[channel, :, split:] **= np.float32(1 + power)
        return mask


def separate_track(separator: VrSeparator, mixture: Waveform, stems: Sequence[int] = (0, 1)) -> npt.NDArray[np.float32]:
    """A whole track as the reference does it: (channels, samples) → (stems, channels, samples).

    The reference ends with the last whole hop; what is beyond it is silent here.
    """
    spec = separator.spec
    stacked = stacked_bins(mixture, spec)
    mask = separator.mask(np.abs(stacked))
    separated = large_zeros((len(stems), *mixture.shape))
    for row, stem in enumerate(stems):
        wave = joined_bands(stacked * (mask if stem == STEM else 1 - mask), spec)[:, : mixture.shape[1]]
        separated[row, :, : wave.shape[1]] = wave
    return separated

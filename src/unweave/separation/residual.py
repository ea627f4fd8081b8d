"""What the stems lack of the mixture, and where it goes."""

from __future__ import annotations

from typing import Literal

import numpy as np

from unweave.audio.channels import to_mono, to_stereo
from unweave.audio.resample import Resampler
from unweave.dsp.segments import SampleQueue
from unweave.types import Waveform

# What becomes of the difference between the mixture and the sum of the stems: nothing; it is added to the last stem; or
# it is a stem of its own.
Residual = Literal["dropped", "to_last", "stem"]
RESIDUAL_STEM = "residual"
# Rounding makes the corrected sum miss the mixture by a bit here and there; what is missed is corrected again.
N_CORRECTIONS = 3


class ResidualKeeper:
    """Keeps the mixture, at the output's rate and channels, until the stems of the same samples come."""

    def __init__(self, residual: Residual, n_channels: int, sample_rate: int, output_rate: int) -> None:
        self._residual = residual
        self._n_channels = n_channels
        self._mixture = SampleQueue()
        self._resampler = Resampler(sample_rate, output_rate, n_channels)

    def push(self, block: Waveform) -> None:
        """The next samples of the mixture, with the input's channels."""
        if self._residual == "dropped":
            return
        mixture = block if len(block) == self._n_channels else to_stereo(block)
        if self._n_channels < len(mixture):
            mixture = to_mono(mixture)
        self._mixture.push(self._resampler.push(np.array(mixture, np.float32)))

    def flush(self) -> None:
        """The end of the mixture."""
        if self._residual != "dropped":
            self._mixture.push(self._resampler.flush(self._n_channels))

    def complete(self, stems: dict[str, Waveform]) -> dict[str, Waveform]:
        """The next samples of all stems, (channels, samples) each, with the residual where it belongs."""
        if self._residual == "dropped":
            return stems
        waveforms = list(stems.values())
        names = list(stems)
        mixture = self._mixture.take(waveforms[0].shape[1], self._n_channels)
        if self._residual == "stem":
            return {**stems, RESIDUAL_STEM: mixture - sum(waveforms)}
        for _ in range(N_CORRECTIONS):
            waveforms[-1] = waveforms[-1] + (mixture - sum(waveforms))
        return dict(zip(names, waveforms, strict=True))

"""The arrays that unweave works with. This is the one place that states the order of their axes.

========================  ==================================  ==========
name                      axes                                type
========================  ==================================  ==========
`Waveform`                (channels, samples), in −1 … 1      float32
`Spectrogram`             (channels, frames, bins)            complex64
`Magnitude`               (channels, frames, bins), ≥ 0       float32
stacked over stems        (stems, …)                          as above
========================  ==================================  ==========

Arrays with samples first only exist at the edges: in the libraries for files, and in `unweave.compat`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Waveform: TypeAlias = npt.NDArray[np.float32]
Spectrogram: TypeAlias = npt.NDArray[np.complex64]
Magnitude: TypeAlias = npt.NDArray[np.float32]


class Stems(Mapping[str, Waveform]):
    """The stems of a mixture: name → waveform (channels, samples), all of the same shape, at ``sample_rate`` Hz.

    ``mixture`` holds the same samples of the mixture itself, for callers that need both; usually it is None.
    """

    def __init__(self, waveforms: Mapping[str, Waveform], sample_rate: int, mixture: Waveform | None = None) -> None:
        self._waveforms = dict(waveforms)
        self.sample_rate = sample_rate
        self.mixture = mixture

    def __getitem__(self, name: str) -> Waveform:
        return self._waveforms[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._waveforms)

    def __len__(self) -> int:
        return len(self._waveforms)

    @property
    def n_samples(self) -> int:
        """Length of each stem in samples."""
        return next((waveform.shape[-1] for waveform in self._waveforms.values()), 0)

    def __repr__(self) -> str:
        return f"Stems({', '.join(self)}; {self.n_samples} samples at {self.sample_rate} Hz)"

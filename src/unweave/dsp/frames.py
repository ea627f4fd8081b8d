"""A stream of samples worked on as spectra: cut into runs of frames like segments, changed, and joined again.

Frames have 2048 samples under a Hann window. What leaves them unchanged gives the samples back, except for rounding.
The signal is followed by silence, so that its last samples lie in as many frames as all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from unweave.dsp.segments import Segmentation, SegmentCutter, SegmentJoiner
from unweave.dsp.stft import analyse, hann
from unweave.types import Spectrogram, Waveform

N_FFT = 2048  # samples
N_FRAMES = 64  # that are worked on at once


class SpectralStream:
    """`push` samples and get those that are ready, changed by ``change``; `flush` gives the rest, as many as went in.

    ``change`` maps spectra (``n_channels``, frames, bins) to (``n_out``, frames, bins), each frame by itself.
    ``hop_length`` is 1024 samples or a part of it.
    """

    def __init__(
        self, change: Callable[[Spectrogram], Spectrogram], n_channels: int, n_out: int, hop_length: int
    ) -> None:
        self._change, self._n_out, self._hop_length = change, n_out, hop_length
        # Frames are centred on multiples of the hop; the first is the first that reaches the signal.
        hop, n_shared = N_FRAMES * hop_length, N_FFT - hop_length
        segmentation = Segmentation(length=hop + n_shared, hop=hop, lead=n_shared)
        self._cutter = SegmentCutter(segmentation, n_channels)
        self._joiner = SegmentJoiner(segmentation)
        self._n_given = 0

    def push(self, samples: Waveform) -> Waveform:
        """(``n_channels``, samples) → (``n_out``, samples that are ready), which may be none."""
        return self._joined(self._cutter.push(samples))

    def flush(self) -> Waveform:
        """The end: (``n_out``, samples)."""
        n_left = self._cutter.n_samples - self._n_given
        return self._joined(self._cutter.flush())[:, :n_left]

    def _joined(self, segments: Iterable[Waveform]) -> Waveform:
        parts = [np.zeros((self._n_out, 0), np.float32)]
        for segment in segments:
            spectra = self._change(analyse(segment, N_FFT, self._hop_length))
            parts.append(self._joiner.push(_synthesised(spectra, self._hop_length))[0])
        joined = np.concatenate(parts, axis=1)
        self._n_given += joined.shape[1]
        return joined


def _synthesised(spectrum: Spectrogram, hop_length: int) -> npt.NDArray[np.float32]:
    """(channels, frames, bins) → (1, channels, samples), to be added up with what comes before and after."""
    n_channels, n_frames = spectrum.shape[:2]
    n_parts = N_FFT // hop_length
    frames = np.fft.irfft(spectrum, N_FFT) * _synthesis_window(hop_length)
    parts = frames.reshape(n_channels, n_frames, n_parts, hop_length)
    hops = np.zeros((n_channels, n_frames + n_parts - 1, hop_length), np.float32)
    for part in range(n_parts):
        hops[:, part : part + n_frames] += parts[:, :, part]
    return hops.reshape(1, n_channels, -1)


@lru_cache(maxsize=2)
def _synthesis_window(hop_length: int) -> Waveform:
    """Hann divided by the sum of the squares of all windows over each sample, which is never below a half."""
    squared = hann(N_FFT).astype(np.float64) ** 2
    sums = squared.reshape(-1, hop_length).sum(axis=0)
    window: Waveform = (hann(N_FFT) / np.tile(sums, N_FFT // hop_length)).astype(np.float32)
    window.setflags(write=False)
    return window

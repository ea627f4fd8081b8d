"""Complex spectra as the channels of real numbers that networks take."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unweave.types import Spectrogram


def as_channels(spectrum: Spectrogram) -> npt.NDArray[np.float32]:
    """(channels, frames, bins) complex → (2 · channels, bins, frames): real and imaginary parts in turn."""
    n_channels, n_frames, n_bins = spectrum.shape
    channels = np.empty((n_channels, 2, n_bins, n_frames), np.float32)
    channels[:, 0] = spectrum.real.transpose(0, 2, 1)
    channels[:, 1] = spectrum.imag.transpose(0, 2, 1)
    return channels.reshape(-1, n_bins, n_frames)


def from_channels(channels: npt.NDArray[np.float32]) -> Spectrogram:
    """The inverse of `as_channels`."""
    parts = channels.reshape(-1, 2, *channels.shape[1:]).transpose(0, 1, 3, 2)
    spectrum = np.empty((len(parts), *parts.shape[2:]), np.complex64)
    spectrum.real = parts[:, 0]
    spectrum.imag = parts[:, 1]
    return spectrum

"""One check for everything that callers hand in: arrays, blocks, rates and numbers."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unweave.audio.arguments import checked_number, is_number
from unweave.errors import AudioReadError, OptionError
from unweave.models.validate import LONGEST_SEGMENT, MAX_RATE, MIN_RATE
from unweave.types import Waveform

log = logging.getLogger(__name__)

MOST_CHANNELS = 8
LARGEST_OVERLAP = 0.98  # share of a segment: fifty segments over each sample
LOUDEST = 1e9  # squares of such samples, summed over a song, are still numbers; whole numbers of 24 bits are below


def checked_rate(value: Any, what: str = "sample_rate") -> int:
    """A sample rate in Hz. Raises `OptionError`."""
    return checked_number(value, what, MIN_RATE, MAX_RATE)


def checked_path(given: Any, what: str) -> Path:
    """A path. Raises `OptionError` for anything else, such as an open file or bytes."""
    if not isinstance(given, (str, os.PathLike)) or not isinstance(os.fspath(given), str):
        raise OptionError(f"expected the path of {what}, got {given!r}")
    return Path(given)


def as_samples(given: Any) -> npt.NDArray[np.floating[Any]]:
    """What a caller gives as samples, as an array (channels, samples) of some float type; no copy is made.

    Anything that NumPy can read will do: arrays, PyTorch tensors on the CPU, lists of lists. Raises `OptionError` for
    another shape, and for numbers that are not floats: 16-bit samples, say, must be divided by 32768 first.
    """
    array = _as_floats(given)
    if array.ndim != 2 or len(array) == 0 or len(array) > max(MOST_CHANNELS, array.shape[1]):
        is_turned = array.ndim == 2 and 1 <= array.shape[1] <= MOST_CHANNELS < len(array)
        advice = ", which is (samples, channels): transpose it" if is_turned else ""
        raise OptionError(f"expected an array of shape (channels, samples), got {array.shape}{advice}")
    if len(array) > MOST_CHANNELS:
        raise OptionError(f"expected 1 to {MOST_CHANNELS} channels, got {len(array)}")
    return array


def _as_floats(given: Any) -> npt.NDArray[np.floating[Any]]:
    try:
        array = np.asarray(given)
    except Exception as error:  # whatever a foreign type raises
        raise OptionError(f"expected an array of shape (channels, samples), got {type(given).__name__}") from error
    if array.ndim == 2 and not np.issubdtype(array.dtype, np.floating):
        raise not_floats("an array", array.dtype)
    return array


def not_floats(what: str, dtype: np.dtype[Any]) -> OptionError:
    """The error for samples of another type; it says what to divide them by where that is known."""
    advice = f"; divide it by {-np.iinfo(dtype).min}" if np.issubdtype(dtype, np.signedinteger) else ""
    return OptionError(f"expected {what} of floats from -1 to 1, got {dtype}{advice}")


def checked_mixture(given: Any) -> npt.NDArray[np.floating[Any]]:
    """A whole mixture: `as_samples`, and not empty. Raises `OptionError`, or `AudioReadError` for no samples."""
    array = as_samples(given)
    if array.shape[1] == 0:
        raise AudioReadError("the array contains no audio samples")
    return array


def checked_block(given: Any, n_channels: int) -> Waveform:
    """A block of a mixture as float32 of its own memory, with silence for what is not finite. Raises `OptionError`."""
    array = _as_floats(given)
    if array.ndim != 2 or len(array) != n_channels:
        raise OptionError(f"expected a block of shape ({n_channels}, samples), got {array.shape}")
    return owned(array)


def owned(array: npt.NDArray[np.floating[Any]]) -> Waveform:
    """A copy as float32, with silence in place of NaN and infinite samples.

    Raises `OptionError` for samples so large that computing with them would not give numbers.
    """
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, and then silent
        block: Waveform = np.array(array, dtype=np.float32, order="C")
    is_finite = np.isfinite(block)
    if not is_finite.all():
        log.warning("%d samples that are not finite numbers were replaced by silence", np.count_nonzero(~is_finite))
        block[~is_finite] = 0
    peak = max(block.max(initial=0), -block.min(initial=0))
    if peak > LOUDEST:
        raise OptionError(f"expected samples from -1 to 1, got some of {peak:.3g}")
    return block


def checked_seconds(given: Any) -> float | None:
    """The length of a segment in seconds, or None. Raises `OptionError`."""
    if given is None:
        return None
    if not is_number(given) or not 0 < given <= LONGEST_SEGMENT:
        raise OptionError(f"expected a segment of up to {LONGEST_SEGMENT:g} seconds, got {given!r}")
    return float(given)


def checked_overlap(given: Any) -> float | None:
    """The share of a segment that the next one shares, or None. Raises `OptionError`."""
    if given is None:
        return None
    if not is_number(given) or not 0 <= given <= LARGEST_OVERLAP:
        raise OptionError(f"expected an overlap from 0 to {LARGEST_OVERLAP}, got {given!r}")
    return float(given)

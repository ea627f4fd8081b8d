"""Checks of the plain values that callers hand in: numbers of any type, parts of a file, tracks."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np

from unweave.audio.limits import LONGEST_SECONDS, MOST_TRACKS
from unweave.errors import OptionError


def is_number(value: Any) -> bool:
    """Whether ``value`` is a real, finite number of any type, NumPy's too; truth values are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)) and math.isfinite(value)


def checked_number(value: Any, what: str, lowest: int, highest: int) -> int:
    """``value`` as an int: any real number without a fraction. Raises `OptionError`."""
    if not is_number(value) or int(value) != value or not lowest <= value <= highest:
        raise OptionError(f"expected {what} to be a whole number from {lowest} to {highest}, got {value!r}")
    return int(value)


def checked_offset(seconds: Any) -> float:
    """Where a part begins, in seconds. Raises `OptionError`."""
    if not is_number(seconds) or not 0 <= seconds <= LONGEST_SECONDS:
        raise OptionError(f"expected an offset of 0 to {LONGEST_SECONDS:g} seconds, got {seconds}")
    return float(seconds)


def checked_duration(seconds: Any) -> float | None:
    """How long a part is, in seconds; None is to the end. Raises `OptionError`."""
    if seconds is None:
        return None
    if not is_number(seconds) or not 0 < seconds <= LONGEST_SECONDS:
        raise OptionError(f"expected a duration of more than 0 and up to {LONGEST_SECONDS:g} seconds, got {seconds}")
    return float(seconds)


def checked_track(number: Any) -> int | None:
    """The number of an audio track, from 0; None is the file's default track. Raises `OptionError`."""
    if number is None:
        return None
    if not is_number(number) or int(number) != number or not 0 <= number < MOST_TRACKS:
        raise OptionError(f"expected the number of an audio track, got {number!r}")
    return int(number)

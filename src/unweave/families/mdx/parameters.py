"""What is not written in an MDX-Net's file: by its checksum from the table of published files, or from a configuration.

``parameters.json`` holds that table, and where it comes from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from unweave.errors import CheckpointError
from unweave.families.uvr import checksum, is_stem

MAX_N_FFT = 1 << 16
MAX_COMPENSATION = 10.0
# Names in configurations, which are those of UVR's table.
N_FFT, N_BINS, LOG_FRAMES = "mdx_n_fft_scale_set", "mdx_dim_f_set", "mdx_dim_t_set"
STEM, COMPENSATION = "primary_stem", "compensate"


@dataclass(frozen=True)
class Parameters:
    """The parameters of one file; None where they are to be taken from its graph."""

    n_fft: int
    stem: str
    n_bins: int | None = None
    n_frames: int | None = None
    compensation: float = 1.0
    denoise: bool = False


def parameters_of(path: Path, configuration: Mapping[str, Any] | None, name: str) -> Parameters:
    """The parameters of the file ``path``: of the configuration if it has them, or else from the table.

    The configuration may be UVR's own table too, which has an entry for each checksum. Raises `CheckpointError` for
    impossible values, and where the parameters are in neither.
    """
    digest = checksum(path)
    settings = configuration or {}
    entry = settings.get(digest)
    if isinstance(entry, Mapping):
        settings = entry
    if N_FFT in settings:
        return _configured(settings, name)
    row = published().get(digest)
    if row is not None:
        return row
    raise CheckpointError(
        f"{name} is an MDX-Net that is not in the table of published ones (its checksum is {digest}): a JSON or YAML "
        f"file is needed with {N_FFT}, {STEM} and, if it is known, {COMPENSATION}"
    )


@lru_cache(maxsize=1)
def published() -> dict[str, Parameters]:
    """The parameters of all published files by their checksums."""
    table = json.loads((files(__package__) / "parameters.json").read_text("utf-8"))
    return {digest: Parameters(**row) for digest, row in table["rows"].items()}


def _configured(settings: Mapping[str, Any], name: str) -> Parameters:
    stem = settings.get(STEM)
    if not isinstance(stem, str) or not is_stem(stem):
        raise CheckpointError(f"the configuration of {name} needs the name of a stem as {STEM}, got {stem!r:.80}")
    compensation = settings.get(COMPENSATION, 1.0)
    if not _is_number(compensation) or not 0 < compensation <= MAX_COMPENSATION:
        raise CheckpointError(
            f"the configuration of {name} needs a number from 0 to {MAX_COMPENSATION:g} as {COMPENSATION}, "
            f"got {compensation!r:.80}"
        )
    denoise = settings.get("denoise", False)
    if not isinstance(denoise, bool):
        raise CheckpointError(f"the configuration of {name} needs true or false as denoise, got {denoise!r:.80}")
    log_frames = _integer(settings, LOG_FRAMES, name, 14) if settings.get(LOG_FRAMES) is not None else None
    return Parameters(
        n_fft=_integer(settings, N_FFT, name, MAX_N_FFT),
        stem=stem,
        n_bins=_integer(settings, N_BINS, name, MAX_N_FFT) if settings.get(N_BINS) is not None else None,
        n_frames=None if log_frames is None else 1 << log_frames,
        compensation=float(compensation),
        denoise=denoise,
    )


def _integer(settings: Mapping[str, Any], key: str, name: str, highest: int) -> int:
    value = settings.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= highest:
        raise CheckpointError(
            f"the configuration of {name} needs a whole number from 1 to {highest} as {key}, got {value!r:.80}"
        )
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

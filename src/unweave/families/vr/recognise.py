"""Tell a VR network by its weights, and its bands and stem from the table of published files or a configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from typing import Any

from unweave.errors import CheckpointError
from unweave.families.uvr import checksum, is_stem, stem_names
from unweave.families.vr.spec import Band, VrSpec
from unweave.models.checkpoints import Tensors

MARKS = {"5": "stg3_full_band_net.enc1.conv1.conv.0.weight", "5.1": "stg3_full_band_net.enc1.conv.0.weight"}
# What files hold beside: counters of the norms, and outputs that only training needs.
UNUSED = re.compile(r".*\.num_batches_tracked|aux\d?_out\.weight")
SPECTRUM, STEM = "vr_model_param", "primary_stem"  # names in configurations, which are UVR's
CHANNELS = ("mid_side", "mid_side_b2", "reverse")
BAND_CHANNELS = ("mid_side_c", "mid_side", "stereo_n")
REFUSED = ("mid_side_b", "stereo_w", "stereo_n")  # of all bands; no published network needs them
MAX_BANDS = 8
MAX_RATE = 192_000
MAX_N_FFT = 1 << 14


def recognise(tensors: Tensors, configuration: Mapping[str, Any] | None, name: str) -> VrSpec | None:
    """The description of the VR network in ``tensors``, or None where they are of another family.

    ``configuration`` is only needed for files that are not in UVR's table. It says ``primary_stem`` and
    ``vr_model_param``, which is a name from that table (``4band_v3``), or it is itself UVR's description of bands with
    a ``primary_stem``. Raises `CheckpointError` for what cannot be computed, and where parameters are missing.
    """
    version = next((version for version, mark in MARKS.items() if mark in tensors), None)
    if version is None:
        return None
    stem, spectrum = _parameters(tensors, configuration or {}, name)
    spec = _spec(spectrum, version, stem, name)
    from unweave.families.vr.graph import check_network  # `onnx` takes 0.14 s to import

    shapes = check_network(spec, tensors)
    unknown = next((key for key in tensors if key not in shapes and not UNUSED.fullmatch(key)), None)
    if unknown:
        raise CheckpointError(f"{name} is a VR network with an unknown part ({unknown:.120}), which is not supported")
    return replace(spec, weights=tuple(shapes.items()))


@lru_cache(maxsize=1)
def published() -> Mapping[str, Any]:
    """The table of published files: ``rows`` by checksum, and ``spectra`` by name."""
    table: Mapping[str, Any] = json.loads((files(__package__) / "parameters.json").read_text("utf-8"))
    return table


def _parameters(tensors: Tensors, configuration: Mapping[str, Any], name: str) -> tuple[str, Mapping[str, Any]]:
    """The stem's name in UVR's table, and the description of the bands."""
    digest = checksum(tensors.path) if tensors.path.is_file() else ""
    entry = configuration.get(digest)
    settings = entry if isinstance(entry, Mapping) else configuration
    row = published()["rows"].get(digest, {})
    stem = settings.get(STEM, row.get("stem"))
    spectrum = settings if "band" in settings else settings.get(SPECTRUM, row.get("spectrum"))
    if stem is None or spectrum is None:
        raise CheckpointError(
            f"{name} is a VR network that is not in the table of published ones (its checksum is {digest}): a JSON or "
            f"YAML file is needed with {STEM} and {SPECTRUM}"
        )
    if not is_stem(stem):
        raise CheckpointError(f"the configuration of {name} needs the name of a stem as {STEM}, got {stem!r:.80}")
    if isinstance(spectrum, str):
        known = published()["spectra"]
        if spectrum not in known:
            raise CheckpointError(f"{name} has the unknown bands {spectrum!r:.80}; known are {', '.join(known)}")
        spectrum = known[spectrum]
    if not isinstance(spectrum, Mapping) or not isinstance(spectrum.get("band"), Mapping):
        raise CheckpointError(f"the configuration of {name} does not describe bands")
    return stem, spectrum


def _spec(spectrum: Mapping[str, Any], version: str, primary: str, name: str) -> VrSpec:
    given = {str(key): band for key, band in spectrum["band"].items()}
    if not 0 < len(given) <= MAX_BANDS or set(given) != {str(k + 1) for k in range(len(given))}:
        raise CheckpointError(f"the configuration of {name} needs bands called 1, 2 and so on")
    bands = tuple(_band(given[str(k + 1)], k, len(given), version, name) for k in range(len(given)))
    n_bins = _integer(spectrum, "n_bins" if "n_bins" in spectrum else "bins", 2, MAX_N_FFT, name)
    modes = [mode for mode in (*CHANNELS, *REFUSED) if spectrum.get(mode)]
    if len(modes) > 1 or (modes and modes[0] in REFUSED):
        raise CheckpointError(f"{name} mixes its channels by {' and '.join(modes)}, which is not supported")
    correction = spectrum.get("aggr_correction") or {}
    sides = [correction.get(side, 0.0) if isinstance(correction, Mapping) else None for side in ("left", "right")]
    if not all(isinstance(side, int | float) and not isinstance(side, bool) and abs(side) < 10 for side in sides):
        raise CheckpointError(f"the configuration of {name} has an impossible aggr_correction")
    left, right = (float(side or 0.0) for side in sides)
    start = max(0, _integer(spectrum, "pre_filter_start", -1, n_bins, name))  # -1: none
    stem, complement = stem_names(primary)
    spec = VrSpec(
        name=name,
        stems=(stem,),
        complement=complement,
        version="5" if version == "5" else "5.1",
        bands=bands,
        n_bins=n_bins,
        pre_filter_start=start,
        pre_filter_stop=_integer(spectrum, "pre_filter_stop", start, n_bins + 1, name) if start else 0,
        channels=modes[0] if modes else "",
        corrections=(left, right),
        sample_rate=bands[-1].sample_rate,
    )
    if sum(band.crop_stop - band.crop_start for band in bands) > n_bins:
        raise CheckpointError(f"the bands of {name} have more bins together than the {n_bins} that it takes")
    pace = {band.hop_length * bands[-1].sample_rate == bands[-1].hop_length * band.sample_rate for band in bands}
    if pace != {True}:
        raise CheckpointError(f"the frames of the bands of {name} do not lie at the same times")
    return spec


def _band(given: object, place: int, n_bands: int, version: str, name: str) -> Band:
    if not isinstance(given, Mapping):
        raise CheckpointError(f"the configuration of {name} describes band {place + 1} by something else than settings")
    n_fft = _integer(given, "n_fft", 16, MAX_N_FFT, name)
    n_bins = n_fft // 2 + 1
    crop_start = _integer(given, "crop_start", 0, n_bins - 1, name)
    channels = given.get("convert_channels") or ""
    if channels not in ("", *BAND_CHANNELS):
        raise CheckpointError(f"{name} mixes the channels of a band by {channels!r:.80}, which is not supported")
    has_low_pass = place < n_bands - 1
    # Those that the highest band does not need are written as -1.
    has_high_pass = 0 < place < n_bands - 1 or (place == n_bands - 1 and given.get("hpf_start") not in (None, 0, -1))
    start, stop = (
        (_integer(given, "hpf_start", 1, n_bins - 2, name), _integer(given, "hpf_stop", 1, n_bins - 1, name))
        if has_high_pass
        else (0, 0)
    )
    if has_high_pass and stop > start:
        raise CheckpointError(f"{name} has a high-pass of band {place + 1} that ends before it begins")
    low = _integer(given, "lpf_start", 1, n_bins - 1, name) if has_low_pass else 0
    return Band(
        sample_rate=_integer(given, "sr", 1000, MAX_RATE, name),
        hop_length=_integer(given, "hl", 1, n_fft, name),
        n_fft=n_fft,
        crop_start=crop_start,
        crop_stop=_integer(given, "crop_stop", crop_start + 1, n_bins, name),
        hpf_start=start,
        hpf_stop=stop,
        lpf_start=low,
        lpf_stop=_integer(given, "lpf_stop", low, n_bins, name) if has_low_pass else 0,
        channels=channels if version != "5" else "",
    )


def _integer(settings: Mapping[str, Any], key: str, lowest: int, highest: int, name: str) -> int:
    value = settings.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise CheckpointError(
            f"the configuration of {name} needs a whole number from {lowest} to {highest} as {key}, got {value!r:.80}"
        )
    return value

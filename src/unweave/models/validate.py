"""What a model's description may say: every value that came from a file is checked here before anything uses it.

Descriptions come from strangers, in Spleeter's JSON or inside ``.onnx`` and ``.safetensors`` files. Names of stems
become names of files on any system, numbers become sizes of arrays, and texts are shown on terminals.
"""

from __future__ import annotations

import math
import re
import reprlib
import unicodedata
from collections.abc import Sequence
from typing import Any

from unweave.errors import ModelError
from unweave.models.spec import MaskModelSpec

MAX_STEMS = 32
MAX_NAME = 64  # characters of a stem's name
MAX_TEXT = 4000  # characters of a licence, note or summary
MIN_RATE, MAX_RATE = 1000, 768_000  # Hz, of signals that anybody hears
LONGEST_SEGMENT = 600.0  # seconds that are separated at once
MAX_FFT = 1 << 16  # samples
MAX_FRAMES = 1 << 14  # of a segment
MAX_WIDTH = 1 << 13  # filters of a layer
MAX_LEVELS = 8
MAX_NETWORKS = 16  # of an ensemble
MAX_EXPONENT = 100.0
UNET_LEVELS = 6
UNET_GRID = 64  # six halvings: frames and bins must be multiples of it

# Windows cannot use these as names of files, in any case and with any extension.
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)
FORBIDDEN = frozenset('/\\:*?"<>|')


def check_spec(spec: MaskModelSpec) -> None:
    """Raise `ModelError`, naming the field, for a description that contradicts itself or cannot be meant."""
    for name in ("name", "weights", "licence", "notes", "summary"):
        check_text(getattr(spec, name), name)
    check_stems(spec.stems, "stems")
    one_of(spec.network, ("unets", "bands"), "network")
    one_of(spec.head, ("sigmoid", "softmax"), "head")
    for name in ("encoder_activation", "decoder_activation"):
        one_of(getattr(spec, name), ("leaky_relu", "relu", "elu"), name)
    one_of(spec.mask_extension, ("zeros", "average", "edge"), "mask_extension")
    for name in ("attention_gates", "residual_blocks", "time_attention"):
        truth(getattr(spec, name), name)
    whole(spec.ensemble, "ensemble", 1, MAX_NETWORKS)
    number(spec.mask_exponent, "mask_exponent", MAX_EXPONENT)
    if spec.n_channels != 2:
        raise ModelError(f"n_channels must be 2, got {shown(spec.n_channels)}")
    _check_spectrum(spec)
    _check_network(spec)
    _check_folds(spec)
    if spec.before:
        raise ModelError(f"before must be empty, got {shown(spec.before)}: a file can only contain one model")
    if spec.rest and spec.rest not in spec.stems:
        raise ModelError(f"rest must be one of {', '.join(spec.stems)}, got {shown(spec.rest)}")


def check_stems(stems: Any, key: str) -> None:
    """Raise `ModelError` unless ``stems`` are names, all different, that can be files on every system."""
    if not isinstance(stems, list | tuple) or not stems or not all(isinstance(stem, str) and stem for stem in stems):
        raise ModelError(f"{key} must be a list of names, got {shown(stems)}")
    if len(stems) > MAX_STEMS:
        raise ModelError(f"{key} must be at most {MAX_STEMS} names, got {len(stems)}")
    for stem in stems:
        reason = _unusable(stem)
        if reason:
            raise ModelError(f"{key}: {shown(stem)} cannot be the name of a stem: {reason}")
    seen: dict[str, str] = {}
    for stem in stems:
        alike = unicodedata.normalize("NFC", stem).casefold()  # one file where systems ignore case
        if alike in seen:
            raise ModelError(f"{key} names a stem twice: {', '.join(dict.fromkeys((seen[alike], stem)))}")
        seen[alike] = stem


def _unusable(stem: str) -> str | None:
    """Why ``stem`` cannot be part of a file's name; None if it can."""
    if len(stem) > MAX_NAME or len(stem.encode(errors="replace")) > 2 * MAX_NAME:
        return f"it has more than {MAX_NAME} characters"
    if not stem.isprintable():
        return "it contains characters that cannot be displayed"
    found = sorted(FORBIDDEN.intersection(stem))
    if found:
        return f"it contains {found[0]}"
    if stem.startswith((".", " ", "-", "~")) or stem.endswith((".", " ")):
        return "it begins or ends with a dot, a space, a dash or a tilde"
    if RESERVED.fullmatch(stem):
        return "Windows reserves it"
    return None


def frame_grid(spec: MaskModelSpec) -> int:
    """The number of frames in a segment must be a multiple of this: the network halves it on every level."""
    return 1 << len(spec.n_filters) if spec.network == "bands" else UNET_GRID


def check_text(text: Any, key: str) -> None:
    """Raise `ModelError` unless ``text`` is one that can be shown on a terminal."""
    if not isinstance(text, str):
        raise ModelError(f"{key} must be text, got {shown(text)}")
    if len(text) > MAX_TEXT or not text.replace("\n", " ").isprintable():
        raise ModelError(f"{key} must be at most {MAX_TEXT} printable characters, got {shown(text)}")


def whole(value: Any, key: str, low: int, high: int) -> int:
    """``value`` if it is a whole number in ``low`` to ``high``; raises `ModelError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        kind = "positive whole number" if low == 1 else f"whole number from {low}"
        raise ModelError(f"{key} must be a {kind}, got {shown(value)}")
    if value > high:
        raise ModelError(f"{key} must be at most {high}, got {shown(value)}")
    return value


def number(value: Any, key: str, high: float) -> float:
    """``value`` as a float if it is a number above 0 and up to ``high``; raises `ModelError`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= high:
        raise ModelError(f"{key} must be above 0 and at most {high:g}, got {shown(value)}")
    return float(value)


def truth(value: Any, key: str) -> bool:
    """``value`` if it is true or false; raises `ModelError`."""
    if not isinstance(value, bool):
        raise ModelError(f"{key} must be true or false, got {shown(value)}")
    return value


def one_of(value: Any, choices: Sequence[str], key: str) -> str:
    """``value`` if it is one of ``choices``; raises `ModelError`."""
    if not isinstance(value, str) or value not in choices:
        raise ModelError(f"{key} must be one of {', '.join(choices)}, got {shown(value)}")
    return value


def not_finite(value: Any, key: str = "") -> str | None:
    """The dotted key of the first number in parsed JSON that is NaN or infinite; None if there is none."""
    todo = [(key, value)]
    while todo:  # not recursive: strangers nest deeply
        key, value = todo.pop()
        if isinstance(value, float) and not math.isfinite(value):
            return key
        if isinstance(value, dict):
            todo += [(f"{key}.{name}" if key else name, inner) for name, inner in value.items()]
        elif isinstance(value, list):
            todo += [(key, inner) for inner in value]
    return None


def shown(value: Any) -> str:
    """``value`` as part of one line: short, whatever it is."""
    return reprlib.repr(value).encode("ascii", "backslashreplace").decode()


def _check_spectrum(spec: MaskModelSpec) -> None:
    whole(spec.sample_rate, "sample_rate", MIN_RATE, MAX_RATE)
    whole(spec.n_fft, "n_fft", 1, MAX_FFT)
    whole(spec.hop_length, "hop_length", 1, MAX_FFT)
    whole(spec.n_bins, "n_bins", 1, MAX_FFT)
    whole(spec.n_frames, "n_frames", 1, MAX_FRAMES)
    if spec.n_bins > spec.n_fft // 2 + 1:
        raise ModelError(f"n_bins = {spec.n_bins} contradicts n_fft = {spec.n_fft}: at most {spec.n_fft // 2 + 1}")
    if spec.n_fft % spec.hop_length or spec.n_fft // spec.hop_length < 3:
        raise ModelError(
            f"hop_length = {spec.hop_length} contradicts n_fft = {spec.n_fft}: "
            "it must divide it into at least three equal parts"
        )
    whole(spec.overlap_frames, "overlap_frames", 0, spec.n_frames // 2)


def _check_network(spec: MaskModelSpec) -> None:
    widths = spec.n_filters
    if not isinstance(widths, list | tuple) or not 1 <= len(widths) <= MAX_LEVELS:
        raise ModelError(f"n_filters must be a list of 1 to {MAX_LEVELS} numbers, got {shown(widths)}")
    for width in widths:
        whole(width, "n_filters", 1, MAX_WIDTH)
    if spec.network == "unets" and len(widths) != UNET_LEVELS:
        raise ModelError(f"n_filters must be six numbers for U-Nets, got {len(widths)}")
    bins = 32 << (len(widths) - 1) if spec.network == "bands" else UNET_GRID
    for name, value, grid in (("n_bins", spec.n_bins, bins), ("n_frames", spec.n_frames, frame_grid(spec))):
        if value % grid:
            raise ModelError(f"{name} must be a multiple of {grid}, got {value}")


def _check_folds(spec: MaskModelSpec) -> None:
    """The stems of the network, and which of ours each is added to."""
    if not spec.network_stems:
        if spec.folds:
            raise ModelError("folds need network_stems")
        return
    check_stems(spec.network_stems, "network_stems")
    folds = dict(spec.folds)
    if len(folds) < len(spec.folds):
        raise ModelError("folds names a stem twice")
    targets = [folds.get(own, own) for own in spec.network_stems]
    unknown = sorted(set(folds) - set(spec.network_stems)) + sorted(set(targets) - set(spec.stems))
    if unknown or set(targets) != set(spec.stems):
        raise ModelError(f"folds and network_stems do not result in {', '.join(spec.stems)}")

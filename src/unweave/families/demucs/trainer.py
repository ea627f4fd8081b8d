"""What Demucs' own trainer writes beside the weights in its ``checkpoint.th``: the settings of the whole training.

Its ``tools.export`` makes of such a file the package that is published. Here the same is taken from it, as
``demucs.train.get_model`` and ``tools.export`` (demucs 4.1.0) do it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

SEGMENTS = 4  # those that a network is run on are so many times longer than those that it was trained on
NAMES = {"sources": "sources", "channels": "audio_channels", "samplerate": "samplerate"}  # there, and here


def trainer_arguments(settings: object, kind: str) -> dict[str, Any]:
    """What the trainer calls the constructor of a ``kind`` with, by name; nothing where ``settings`` are not its own.

    ``settings`` are its configuration, with one section for the data and one for each kind of network.
    """
    if not isinstance(settings, Mapping):
        return {}
    section, data = settings.get(kind.lower()), settings.get("dset")
    if not isinstance(section, Mapping) or not isinstance(data, Mapping):
        return {}
    arguments = {**section, **{here: data[there] for there, here in NAMES.items() if data.get(there) is not None}}
    segment = settings.get("model_segment")
    if not segment and _is_number(data.get("segment")):
        segment = SEGMENTS * data["segment"]
    if kind == "HTDemucs" and section.get("use_train_segment", True):
        segment = _trained_segment(settings, data) or segment
    if segment:
        arguments["segment"] = segment
    return arguments


def _trained_segment(settings: Mapping[str, Any], data: Mapping[str, Any]) -> float | None:
    """Seconds that the network was trained on: what changes of tempo and random shifts leave of a segment."""
    segment, shift = data.get("segment"), data.get("shift", 0)
    augment = settings.get("augment")
    repitch = augment.get("repitch") if isinstance(augment, Mapping) else None
    slowed = repitch.get("max_tempo", 0) if isinstance(repitch, Mapping) and repitch.get("proba") else 0  # per cent
    if not (_is_number(segment) and _is_number(shift) and _is_number(slowed)):
        return None
    return (1 - 0.01 * slowed) * segment - shift


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)

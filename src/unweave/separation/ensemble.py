"""Models by one name: ``"a+b"`` side by side, with weights ``"a*2+b*0.5"``, and ``"a > b"`` one after the other."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from unweave.errors import OptionError
from unweave.separation.presets import find_preset

HANDING_ON = re.compile(r"(?P<models>.*\S)\s*\[(?P<stem>[^\[\]]+)\]", re.DOTALL)


@dataclass(frozen=True)
class Member:
    """A model of an ensemble and how much its estimates count."""

    model: str
    weight: float = 1.0


@dataclass(frozen=True)
class Step:
    """A model, or several side by side, and the stem of theirs that the next step separates further."""

    members: tuple[Member, ...]
    rule: str | None = None  # of a named ensemble
    hands_on: str = ""  # "": the one that the next step is made for, or nothing where no step follows


def parse_steps(text: str) -> list[Step]:
    """The steps that ``text`` names, one where there is no ``>`` in it or where a file is called so.

    ``[stem]`` behind a step says which of its stems the next one gets. Raises `OptionError` where it cannot be read,
    and `UnknownModelError` for a named ensemble some models of which are not there.
    """
    if _is_file(text):
        return [Step((Member(text),))]
    steps = [_step(part) for part in text.split(">")] if ">" in text else [_step(text)]
    if steps[-1].hands_on:
        raise OptionError(f"[{steps[-1].hands_on}] says what a next model gets, but none follows in {text!r}")
    return steps


def parse_ensemble(text: str) -> list[Member]:
    """All models that ``text`` names, in the order in which they run. Raises as `parse_steps` does."""
    return [member for step in parse_steps(text) for member in step.members]


def _step(text: str) -> Step:
    text = text.strip()
    hands_on = ""
    found = None if _is_file(text) else HANDING_ON.fullmatch(text)
    if found:
        text, hands_on = found["models"], found["stem"].strip()
    if not text:
        raise OptionError('expected models like "a > b", with a name on either side')
    preset = find_preset(text)
    if preset is not None:
        return Step(tuple(Member(model) for model in preset.found_models()), preset.rule, hands_on)
    return Step(tuple(_members(text)), None, hands_on)


def _members(text: str) -> list[Member]:
    if "+" not in text or _is_file(text):
        return [Member(text)]
    members = []
    for part in text.split("+"):
        model, star, weight = part.strip().partition("*")
        try:
            value = float(weight) if star else 1.0
        except ValueError:
            value = 0.0
        if not model.strip() or not (value > 0 and math.isfinite(value)):
            raise OptionError(f"expected models and weights like a*2+b, got {text!r}")
        if find_preset(model.strip()) is not None:
            raise OptionError(f"{model.strip()} is an ensemble itself and cannot be part of {text!r}")
        members.append(Member(model.strip(), value))
    return members


def _is_file(text: str) -> bool:
    try:
        return Path(text).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # no name that a file could have
        return False

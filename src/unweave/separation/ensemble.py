"""Several models by one name: ``"a+b"``, or ``"a*2+b*0.5"`` with weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from unweave.errors import OptionError


@dataclass(frozen=True)
class Member:
    """A model of an ensemble and how much its estimates count."""

    model: str
    weight: float = 1.0


def parse_ensemble(text: str) -> list[Member]:
    """The models that ``text`` names, one where there is no ``+`` in it or where a file is called so.

    Raises `OptionError` for a weight that is not a positive number.
    """
    if "+" not in text or Path(text).expanduser().exists():
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
        members.append(Member(model.strip(), value))
    return members

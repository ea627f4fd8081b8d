"""A family's description of a model, as JSON and back."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, TypeVar, cast

Description = TypeVar("Description")


def to_json(description: object) -> str:
    """The fields of a frozen dataclass of plain values and tuples."""
    return json.dumps(dataclasses.asdict(cast(Any, description)), sort_keys=True)


def from_json(kind: type[Description], text: str) -> Description:
    """The description that `to_json` wrote. Raises TypeError for fields that ``kind`` does not have."""
    return kind(**{name: _tuples(value) for name, value in json.loads(text).items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value

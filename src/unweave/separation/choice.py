"""Which stems a caller asks for, by whatever name people have for them, and what must be separated for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unweave.errors import OptionError
from unweave.separation.stem_names import INSTRUMENTALS, VOCALS, find_meant, find_stem, plain

WITHOUT = "no_"


@dataclass(frozen=True)
class Choice:
    """Stems by the names that they were asked for by, in that order."""

    names: tuple[str, ...]
    own: Mapping[str, str] = field(default_factory=dict)  # a name → the model's stem, where it is called otherwise
    complements: Mapping[str, str] = field(default_factory=dict)  # a name → the stem that the mixture lacks there

    @property
    def overlaps(self) -> bool:
        """Whether something is in several of the stems: one stem by two names, or drums and the song without vocals."""
        single = [self.own.get(name, name) for name in self.names if name not in self.complements]
        absent = set(self.complements.values())
        return len(set(single)) < len(single) or len(self.complements) > 1 or bool(absent and set(single) - absent)

    @property
    def separated(self) -> tuple[str, ...]:
        """The model's stems that are needed, each once."""
        needed = (self.own.get(name) or self.complements.get(name) or name for name in self.names)
        return tuple(dict.fromkeys(needed))


def choose(given: Any, stems: Sequence[str], model: str) -> Choice:
    """What ``given``, names of stems or None for all of them, means for a ``model`` with the given ``stems``.

    ``no_drums`` is the mixture without the drums, for every model that has drums; ``instrumental`` and its other names
    are what a model of two stems calls everything but the vocals, or the mixture without the vocals. Raises
    `OptionError` for what there is not.
    """
    asked: Sequence[Any] = stems if given is None else [given] if isinstance(given, str) else given
    try:
        names = tuple(dict.fromkeys(asked))
    except TypeError as error:  # no sequence, or one of no names
        raise OptionError(f"expected stems of {model} ({', '.join(stems)}), got {given!r}") from error
    own, complements, unknown = {}, {}, []
    for name in names:
        if name in stems:
            continue
        found, complement = _meant(str(name), stems)
        if found is not None:
            own[name] = found
        elif complement is not None:
            complements[name] = complement
        else:
            unknown.append(str(name))
    if unknown or not names:
        wrong = ", ".join(unknown) or "none"
        raise OptionError(f"expected stems of {model} ({', '.join(stems)}), got {wrong}")
    return Choice(names, own, complements)


def _meant(name: str, stems: Sequence[str]) -> tuple[str | None, str | None]:
    """The stem that is called ``name``, or the one that is all that the mixture lacks there."""
    found = find_meant(name, stems)
    if found is not None:
        return found, None
    if plain(name) in INSTRUMENTALS and plain(name) != "other":
        return None, find_stem(VOCALS, stems)
    if plain(name).startswith(WITHOUT):
        return None, find_stem(plain(name).removeprefix(WITHOUT), stems)
    return None, None

"""The settings of a checkpoint as ZFTurbo's Music-Source-Separation-Training writes them, with their types checked.

RoFormers, SCNet and MDX23C come with such a file. Whatever is wrong in it is a `CheckpointError` naming the setting.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeGuard

from unweave.errors import CheckpointError
from unweave.families.complements import complement_of

LARGEST = 1 << 31
SECTIONS = ("audio", "model", "training", "inference")
STEM = re.compile(r"[^\s./\\:*?\"<>|\x00-\x1f][^/\\:*?\"<>|\x00-\x1f]{0,60}")


@contextmanager
def taken_for(family: str, name: str) -> Iterator[None]:
    """Raise `CheckpointError` where what was taken for ``family`` lacks an array, or has one with too few axes."""
    try:
        yield
    except KeyError as error:
        raise CheckpointError(f"{name} looks like {family}, but has no usable {error.args[0]}") from None
    except IndexError:
        raise CheckpointError(f"{name} looks like {family}, but the shapes of its weights do not fit") from None


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Put the name of the file before what a `CheckpointError` says, unless it is in there."""
    try:
        yield
    except CheckpointError as error:
        if name in str(error):
            raise
        raise CheckpointError(f"{name}: {error}") from error


def count_numbers(names: Iterable[str], prefix: str) -> int:
    """How many different numbers follow ``prefix`` in the names of arrays."""
    found = {name[len(prefix) :].split(".", 1)[0] for name in names if name.startswith(prefix)}
    return len([number for number in found if number.isdigit()])


def has_settings(configuration: Mapping[str, Any] | None) -> TypeGuard[Mapping[str, Any]]:
    """Whether there is any section of such a file: checkpoints themselves may hold an epoch and figures of training."""
    return configuration is not None and any(isinstance(configuration.get(name), Mapping) for name in SECTIONS)


class Settings:
    """Typed access to the sections of a configuration."""

    def __init__(self, configuration: Mapping[str, Any], name: str) -> None:
        self._sections = configuration
        self._name = name

    def get(self, section: str, key: str) -> Any:
        """The value, or None where it is not given."""
        found = self._sections.get(section)
        return found.get(key) if isinstance(found, Mapping) else None

    def integer(self, section: str, key: str, default: int | None = None) -> int:
        """A positive integer."""
        value = self.get(section, key)
        value = default if value is None else value
        if not _is_size(value):
            raise CheckpointError(
                f"the configuration of {self._name} needs a positive number as {section}.{key}, got {value!r:.80}"
            )
        assert isinstance(value, int)
        return value

    def integers(self, section: str, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """As many positive integers as ``default`` has."""
        value = self.get(section, key)
        value = default if value is None else value
        if not isinstance(value, list | tuple) or len(value) != len(default) or not all(map(_is_size, value)):
            raise CheckpointError(
                f"the configuration of {self._name} needs {len(default)} positive numbers as {section}.{key}, "
                f"got {value!r:.80}"
            )
        return tuple(value)

    def shares(self, section: str, key: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """As many numbers from 0 to 1 as ``default`` has."""
        value = self.get(section, key)
        value = default if value is None else value
        if not isinstance(value, list | tuple) or len(value) != len(default) or not all(map(_is_share, value)):
            raise CheckpointError(
                f"the configuration of {self._name} needs {len(default)} numbers from 0 to 1 as {section}.{key}, "
                f"got {value!r:.80}"
            )
        return tuple(float(share) for share in value)

    def flag(self, section: str, key: str, default: bool) -> bool:
        """True or false."""
        value = self.get(section, key)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise CheckpointError(
                f"the configuration of {self._name} needs true or false as {section}.{key}, got {value!r:.80}"
            )
        return value

    def segment_samples(self, hop_length: int) -> int:
        """The length of a segment, which old files give as a number of frames."""
        for section in ("inference", "audio"):
            if self.get(section, "chunk_size") is not None:
                return self.integer(section, "chunk_size")
        return hop_length * (self.integer("inference", "dim_t") - 1)

    def stems(self) -> tuple[str, ...]:
        """The names of the stems, fit to be names of files."""
        names = self.get("training", "instruments")
        if not isinstance(names, list | tuple) or not names:
            raise CheckpointError(f"the configuration of {self._name} does not name its stems (training.instruments)")
        for stem in names:
            if not isinstance(stem, str) or not STEM.fullmatch(stem) or stem.endswith((" ", ".")):
                raise CheckpointError(f"the configuration of {self._name} names a stem {stem!r:.80}")
        if len({stem.casefold() for stem in names}) < len(names):
            raise CheckpointError(f"the configuration of {self._name} names a stem twice")
        return tuple(names)

    def network_stems(self, n_outputs: int, what: str) -> tuple[tuple[str, ...], str]:
        """The names of what the network gives, and of the complement of a single stem.

        ``what`` says what the network has ``n_outputs`` of, for the message where that does not fit.
        """
        stems = self.stems()
        target = self.get("training", "target_instrument")
        if target:
            if target not in stems or n_outputs != 1:
                raise CheckpointError(
                    f"{self._name} has {n_outputs} {what}, its configuration names the target {target!r:.80} "
                    f"among {', '.join(stems)}"
                )
            others = [stem for stem in stems if stem != target]
            return (target,), others[0] if len(others) == 1 else complement_of(target.casefold().replace(" ", "_"))
        if len(stems) != n_outputs:
            raise CheckpointError(
                f"{self._name} has {n_outputs} {what}, its configuration names {len(stems)} stems: {', '.join(stems)}"
            )
        return stems, ""

    def require(self, section: str, stated: Mapping[str, object]) -> None:
        """Refuse a configuration that was written for another network: what it states must be what the weights have."""
        for key, found in stated.items():
            value = self.get(section, key)
            if value is not None and (list(value) if isinstance(value, tuple) else value) != found:
                raise CheckpointError(
                    f"the configuration of {self._name} says {key} {value!r:.80}, its weights have {found}"
                )


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < LARGEST


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1

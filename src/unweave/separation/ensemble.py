"""Several models as one: estimates of stems with the same name are averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from unweave.errors import OptionError
from unweave.separation.averaging import AveragedStream
from unweave.separation.progress import Meter
from unweave.separation.residual import Residual, ResidualKeeper
from unweave.separation.separator import Separator
from unweave.types import Waveform


@dataclass(frozen=True)
class Member:
    """A model of an ensemble and how much its estimates count."""

    model: str
    weight: float = 1.0


def parse_ensemble(text: str) -> list[Member]:
    """``"a+b"`` or ``"a*2+b*0.5"`` as members. Raises `OptionError` for a weight that is no positive number."""
    members = []
    for part in text.split("+"):
        model, star, weight = part.strip().partition("*")
        try:
            value = float(weight) if star else 1.0
        except ValueError:
            value = 0.0
        if not model or not 0 < value < float("inf"):
            raise OptionError(f"expected models and weights like a*2+b, got {text!r}")
        members.append(Member(model.strip(), value))
    return members


class EnsembleSeparator(Separator):
    """A `Separator` over several models, ``"a+b"``; options are those of `Separator` and go to each.

    The stems are those of the models together, those of the first model first. The accompaniment of a two-stem model
    is left out beside models that split it further: there is nothing to average it with.
    """

    def __init__(self, models: str, **options: Any) -> None:
        self._parts = parse_ensemble(models)
        residual = options.pop("residual", False)
        self._members = [Separator(part.model, **options) for part in self._parts]
        first = self._members[0]
        self.spec = first.spec
        self.settings = {**first.settings, "model": models, "residual": residual}
        self._n_threads, self._executor = first._n_threads, first._executor
        self._residual: Residual = "stem" if residual else "to_last" if first._residual == "to_last" else "dropped"

    @property
    def stems(self) -> tuple[str, ...]:
        """The names of all stems."""
        names = dict.fromkeys(name for member in self._members for name in member.stems)
        others = [name for name in names if name != "accompaniment"]
        is_split = any("accompaniment" not in member.stems for member in self._members)
        return tuple(others if is_split else names)

    @property
    def _n_passes(self) -> int:
        return sum(member._n_passes for member in self._members)

    def _prepare(self, blocks: Callable[[], Iterable[Waveform]], sample_rate: int, meter: Meter) -> Any:
        return [member._prepare(blocks, sample_rate, meter) for member in self._members]

    def _single_pass_engine(self) -> Any:
        return [member._single_pass_engine() for member in self._members]

    def _stream(
        self,
        engine: Any,
        sample_rate: int,
        n_channels: int,
        stems: Sequence[str] | None,
        output_rate: int | None = None,
        output_channels: int | None = None,
        residual: Residual | None = None,
    ) -> Any:
        chosen = list(self._chosen(stems))
        streams = []
        for member, part, each in zip(self._members, self._parts, engine, strict=True):
            own = [name for name in chosen if name in member.stems]
            if own:
                inner = member._stream(each, sample_rate, n_channels, own, output_rate, output_channels, "dropped")
                streams.append((inner, part.weight))
        kept = residual or self._residual_for(chosen)
        rate, n_out = output_rate or sample_rate, output_channels or min(n_channels, 2)
        return AveragedStream(streams, chosen, ResidualKeeper(kept, n_out, sample_rate, rate), rate, n_out)


def open_separator(model: str, **options: Any) -> Separator:
    """A `Separator` for one model, or an `EnsembleSeparator` for several joined by ``+``."""
    return EnsembleSeparator(model, **options) if "+" in model else Separator(model, **options)

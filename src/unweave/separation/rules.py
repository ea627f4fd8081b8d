"""Which rule makes one stem of several models' estimates: one for all stems, or one for some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from unweave.dsp.combining import MEANS, PHASE_FIX, RULES
from unweave.errors import OptionError
from unweave.separation.stem_names import find_meant

MEAN = MEANS[0]
EXPECTED = "expected a rule such as max_fft, or vocals=max_fft,accompaniment=min_fft"


@dataclass(frozen=True)
class Rules:
    """A rule by stem, and one for all other stems; see `unweave.dsp.combining` for what they mean."""

    others: str = MEAN
    by_stem: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rule in (self.others, *self.by_stem.values()):
            if rule not in (*RULES, PHASE_FIX):
                raise OptionError(f"expected a rule among {', '.join((*RULES, PHASE_FIX))}, got {rule!r}")

    @property
    def has_mean(self) -> bool:
        """Whether some stems are weighted means."""
        return any(rule in MEANS for rule in (self.others, *self.by_stem.values()))

    @property
    def text(self) -> str:
        """The same as `find_rules` reads it."""
        return ",".join([self.others, *(f"{stem}={rule}" for stem, rule in sorted(self.by_stem.items()))])

    def of(self, stem: str) -> str:
        """The rule for ``stem``."""
        return self.by_stem.get(stem.casefold(), self.others)

    def is_mean(self, stem: str) -> bool:
        """Whether ``stem`` is a weighted mean, as it is without any rule."""
        return self.of(stem) in MEANS

    def check_number(self, n_estimates: int) -> None:
        """Raise `OptionError` for a rule that cannot combine so many estimates."""
        if n_estimates != 2 and PHASE_FIX in (self.others, *self.by_stem.values()):
            raise OptionError(
                f"{PHASE_FIX} takes two, one for the magnitudes and one for the phases, got {n_estimates}"
            )

    def named(self, stems: Sequence[str]) -> Rules:
        """The same by the names that ``stems`` have: instrumental may be what a model calls accompaniment.

        Raises `OptionError` for two rules for one stem.
        """
        by_stem: dict[str, str] = {}
        for name, rule in self.by_stem.items():
            stem = (find_meant(name, stems) or name).casefold()
            if by_stem.setdefault(stem, rule) != rule:
                raise OptionError(f"expected one rule for {stem}, got {by_stem[stem]} and {rule}")
        return Rules(self.others, by_stem)

    def check(self, ensembles: Sequence[Sequence[str]]) -> None:
        """Raise `OptionError` for a rule for what is no stem of any of ``ensembles``."""
        unknown = [name for name in sorted(self.by_stem) if all(find_meant(name, stems) is None for stems in ensembles)]
        if unknown:
            known = dict.fromkeys(stem for stems in ensembles for stem in stems)
            raise OptionError(f"expected rules for stems of {', '.join(known)}, got {', '.join(unknown)}")


def find_rules(given: str | Mapping[str, str] | None) -> Rules:
    """The rules that a caller means: None is the mean, a text as on the command line, or a rule by stem.

    Raises `OptionError`.
    """
    if given is None:
        return Rules()
    if isinstance(given, Mapping):
        return Rules(by_stem={str(stem).strip().casefold(): str(rule) for stem, rule in given.items()})
    others, by_stem = MEAN, {}
    for part in str(given).split(","):
        stem, equals, rule = part.rpartition("=")
        if not rule.strip() or (equals and not stem.strip()):
            raise OptionError(f"{EXPECTED}, got {given!r}")
        if equals:
            by_stem[stem.strip().casefold()] = rule.strip().lower()
        else:
            others = rule.strip().lower()
    return Rules(others, by_stem)

"""What is known about a model before its file is here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unweave.models.spec import Source

# Licences that let everybody use the weights for any purpose, if only on conditions.
FREE_LICENCES = ("MIT", "Apache-2.0", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "GPL-3.0")
UNKNOWN = "unknown"
SHA256_DIGITS = 64


@dataclass(frozen=True)
class Licence:
    """What a model's authors allow, where they say so, and when it was said or read there."""

    name: str = UNKNOWN
    stated_in: str = ""  # "": nothing was found
    stated_on: str = ""  # a year, a month or a day
    notes: str = ""  # for the user: what it means, what is missing

    @property
    def is_free(self) -> bool:
        """Whether the model may be used for any purpose."""
        return self.name in FREE_LICENCES

    @property
    def terms(self) -> str:
        """What a user is asked to agree to."""
        if self.notes:
            return self.notes
        if self.name == UNKNOWN:
            return "whoever made this model does not say what it may be used for"
        return f"the licence of this model is {self.name}"


@dataclass(frozen=True)
class Score:
    """A published figure: SDR in dB by stem, on the songs of a test set; those of different sets do not compare."""

    test_set: str
    sdr: Mapping[str, float]
    source: str


@dataclass(frozen=True)
class EntryFile:
    """One file of a model, and the places to get it from, best first."""

    name: str
    sources: tuple[Source, ...]
    size: int = 0  # bytes, to within a hundredth; 0: not known
    sha256: str = ""  # all 64 digits, or the first ones where only those are published

    @property
    def trusted(self) -> tuple[Source, ...]:
        """The sources whose file can be told from another one: by its checksum, or because a place never changes."""
        if len(self.sha256) == SHA256_DIGITS:
            return self.sources
        return tuple(source for source in self.sources if source.is_pinned)


@dataclass(frozen=True)
class Download:
    """One form in which a model is published: all of its files together."""

    files: tuple[EntryFile, ...]
    configuration: EntryFile | None = None  # the YAML or JSON that belongs to them
    settings: Mapping[str, Any] = field(default_factory=dict)  # what such a file would say, where it is known here

    @property
    def all_files(self) -> tuple[EntryFile, ...]:
        """The files, with the configuration."""
        return (*self.files, self.configuration) if self.configuration else self.files

    @property
    def is_fetchable(self) -> bool:
        """Whether each file has a source that can be trusted."""
        return all(file.trusted for file in self.all_files)

    @property
    def n_bytes(self) -> int:
        """The size of all files; 0 where it is not known of one of them."""
        sizes = [file.size for file in self.files]
        return sum(sizes) if all(sizes) else 0


@dataclass(frozen=True)
class Entry:
    """A model of the list."""

    name: str
    family: str
    stems: tuple[str, ...]  # as the authors name them
    summary: str
    licence: Licence
    author: str = ""
    scores: tuple[Score, ...] = ()
    aliases: tuple[str, ...] = ()  # names of its file in other tools
    is_verified: bool = False  # unweave's authors ran the very file
    is_recommended: bool = False  # shown in the short list
    downloads: tuple[Download, ...] = ()  # of checkpoints that are added; official models have weights instead
    settings: Mapping[str, Any] = field(default_factory=dict)  # of an official model: its description

    @property
    def download(self) -> Download | None:
        """The form to fetch: the first one whose files can be trusted, if there is one."""
        return next((download for download in self.downloads if download.is_fetchable), None)

    @property
    def n_bytes(self) -> int:
        """The size of its files; 0 where it is not known."""
        chosen = self.download or (self.downloads[0] if self.downloads else None)
        return chosen.n_bytes if chosen else 0

    @property
    def needs_consent(self) -> bool:
        """Whether a user must agree to its terms first: nothing is known of them, or they forbid something."""
        return not self.licence.is_free

    def score(self, stem: str = "") -> tuple[str, float, str] | None:
        """The figure to show: (what it is of, dB, test set), of ``stem``, or else of what the model is for.

        That is the mean of all stems where there are more than two, and otherwise the first stem that has a figure.
        """
        if not stem and len(self.stems) > 2:
            for score in self.scores:
                if set(self.stems) <= set(score.sdr):
                    return "mean", sum(score.sdr.values()) / len(score.sdr), score.test_set
        for score in self.scores:
            for name in [stem] if stem else self.stems:
                if name in score.sdr:
                    return name, score.sdr[name], score.test_set
        return None

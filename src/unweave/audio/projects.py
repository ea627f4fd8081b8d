"""What a project for a digital audio workstation (DAW) says: tracks with their places in the mixer, and a tempo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

DEFAULT_TEMPO = 120.0  # beats per minute: programs want a number, and start new projects with this one
SLOWEST, FASTEST = 20.0, 999.0  # beats per minute that they all take


@dataclass(frozen=True)
class ProjectTrack:
    """A stem and where its faders are. ``pan`` is −1 (left) to 1 (right), and turns the other channel down."""

    name: str
    file: str  # path of its audio within the project, with slashes
    colour: str  # #RRGGBB
    gain: float = 1.0  # linear
    pan: float = 0.0
    is_muted: bool = False
    is_solo: bool = False


@dataclass(frozen=True)
class Project:
    """A song as tracks that begin together and are equally long. ``tags`` are the song's, by FFmpeg's names."""

    title: str
    tracks: Sequence[ProjectTrack]
    sample_rate: int  # Hz
    n_channels: int
    n_samples: int
    tempo: float = DEFAULT_TEMPO  # beats per minute
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long the song is."""
        return self.n_samples / self.sample_rate


def tempo_in(tags: Mapping[str, str]) -> float | None:
    """The tempo that a song's tags give, in beats per minute; None if there is none that a program would take."""
    for key in ("bpm", "tbpm"):
        try:
            tempo = float(tags.get(key, "").strip().replace(",", "."))
        except ValueError:
            continue
        if SLOWEST <= tempo <= FASTEST:
            return tempo
    return None


def on_one_line(text: str) -> str:
    """``text`` with blanks for what neither XML nor a line can hold, and question marks for what is no Unicode."""
    known = text.encode("utf-8", "replace").decode()
    return "".join(letter if _is_kept(ord(letter)) else " " for letter in known).strip()


def _is_kept(code: int) -> bool:
    """Whether a letter may be in XML (1.0, production 2), and ends no line."""
    is_end = code in (0x85, 0x2028, 0x2029)
    return (0x20 <= code < 0xD800 and code != 0x7F and not is_end) or 0xE000 <= code < 0xFFFE or code > 0xFFFF

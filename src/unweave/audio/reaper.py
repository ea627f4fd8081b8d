"""Projects of REAPER (``.rpp``): text with an element or a value on each line, beside the audio files that it names.

Cockos publishes no description; the names are those that REAPER 6 and 7 write, and what a project leaves out has
REAPER's defaults. Here items keep their place in seconds when somebody changes the tempo (TIMELOCKMODE 0), and a pan
turns the other channel down and nothing up, as in unweave's mixer (PANMODE 3 with a PANLAW of 1, which is 0 dB). Tracks
have two channels, never less in REAPER, and fades of no length, so that they add up to the song from its first sample.
"""

from __future__ import annotations

from unweave.audio.projects import Project, ProjectTrack, on_one_line
from unweave.audio.templates import Values, decimal, filled

HAS_COLOUR = 0x1000000


def project_text(project: Project, version: str) -> bytes:
    """The whole ``.rpp`` file; ``version`` is that of unweave."""
    artist = project.tags.get("artist")
    values: Values = {
        # REAPER reads projects of old versions in other ways, so a version of its own comes first, then the platform.
        "program": quoted(f"6.0/unweave-{version}"),
        "title": quoted(project.tags.get("title") or project.title),
        "authors": [{"author": quoted(artist)}] if artist else [],
        "tempo": decimal(project.tempo),
        "sample_rate": str(project.sample_rate),
        "seconds": f"{project.seconds:.9f}",
        "tracks": [_track(track) for track in project.tracks],
    }
    return filled("reaper.rpp", values).replace("\n", "\r\n").encode()


def _track(track: ProjectTrack) -> dict[str, str]:
    return {
        "name": quoted(track.name),
        "colour": str(native_colour(track.colour)),
        "gain": decimal(track.gain),
        "pan": decimal(track.pan),
        "is_muted": str(int(track.is_muted)),
        "is_solo": str(int(track.is_solo)),
        "file": quoted(track.file),
    }


def native_colour(colour: str) -> int:
    """#RRGGBB as REAPER keeps it: red in the lowest byte, and a bit that says that there is a colour."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return HAS_COLOUR | blue << 16 | green << 8 | red


def quoted(text: str) -> str:
    """A value in the quotes that it does not contain itself; of all three kinds, the last one is given up."""
    text = on_one_line(text)
    quote = next((quote for quote in "\"'" if quote not in text), "`")
    return f"{quote}{text.replace('`', chr(39)) if quote == '`' else text}{quote}"


def can_name(path: str) -> bool:
    """Whether ``path`` can be written down so that REAPER finds the file."""
    return quoted(path)[1:-1] == path

"""Projects of REAPER (``.rpp``): text with an element or a value on each line, beside the audio files that it names.

Cockos publishes no description; the names are those that REAPER 6 and 7 write, and what a project leaves out has
REAPER's defaults. Here items keep their place in seconds when somebody changes the tempo (TIMELOCKMODE 0), and a pan
turns the other channel down and nothing up, as in unweave's mixer (PANMODE 3 with a PANLAW of 1, which is 0 dB).
"""

from __future__ import annotations

from collections.abc import Iterator

from unweave.audio.projects import Project, ProjectTrack, on_one_line

HAS_COLOUR = 0x1000000


def project_text(project: Project, version: str) -> bytes:
    """The whole ``.rpp`` file; ``version`` is that of unweave."""
    return "".join(f"{line}\r\n" for line in _lines(project, version)).encode()


def _lines(project: Project, version: str) -> Iterator[str]:
    # REAPER reads projects of old versions in other ways, so a version of its own comes first, and the platform second.
    yield f"<REAPER_PROJECT 0.1 {quoted(f'6.0/unweave-{version}')} 0"
    yield f"  TITLE {quoted(project.tags.get('title') or project.title)}"
    if project.tags.get("artist"):
        yield f"  AUTHOR {quoted(project.tags['artist'])}"
    yield "  PANLAW 1"
    yield "  PANMODE 3"
    yield "  TIMELOCKMODE 0"
    yield f"  TEMPO {project.tempo:.9g} 4 4"
    yield f"  SAMPLERATE {project.sample_rate} 1 0"
    for track in project.tracks:
        yield from (f"  {line}" for line in _track(track, project))
    yield ">"


def _track(track: ProjectTrack, project: Project) -> Iterator[str]:
    name = quoted(track.name)
    yield "<TRACK"
    yield f"  NAME {name}"
    yield f"  PEAKCOL {native_colour(track.colour)}"
    yield f"  VOLPAN {track.gain:.9g} {track.pan:.9g} -1 -1 1"
    yield f"  MUTESOLO {int(track.is_muted)} {int(track.is_solo)} 0"
    yield "  NCHAN 2"  # never less, in REAPER
    yield "  <ITEM"
    yield "    POSITION 0"
    yield f"    LENGTH {project.seconds:.9f}"
    yield "    LOOP 0"
    yield "    FADEIN 1 0 0 1 0 0 0"  # of no length, so that the tracks add up to the song from its first sample
    yield "    FADEOUT 1 0 0 1 0 0 0"
    yield f"    NAME {name}"
    yield "    <SOURCE WAVE"
    yield f"      FILE {quoted(track.file)}"
    yield "    >"
    yield "  >"
    yield ">"


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

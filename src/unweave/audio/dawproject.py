"""DAWproject 1.0 (https://github.com/bitwig/dawproject), which Bitwig Studio, Studio One and Cubase open.

A ``.dawproject`` file is a ZIP archive with ``project.xml``, ``metadata.xml``, and the audio files that the project
names. The order of elements and the names of attributes are those of its schemas, Project.xsd and MetaData.xsd. Clips
are placed in seconds, so that the audio does not move if somebody changes the tempo.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from unweave.audio.projects import Project, on_one_line
from unweave.audio.templates import Values, decimal, filled

PROJECT_FILE, METADATA_FILE, AUDIO_FOLDER = "project.xml", "metadata.xml", "audio"
# Elements of the metadata in the schema's order, and the tags that they are made from.
METADATA = {
    "Title": ("title",),
    "Artist": ("artist", "performer"),
    "Album": ("album",),
    "Composer": ("composer",),
    "Year": ("date", "year"),
    "Genre": ("genre",),
    "Copyright": ("copyright",),
    "Comment": ("comment",),
}


def project_xml(project: Project, version: str) -> bytes:
    """``project.xml``; ``version`` is that of unweave."""
    tracks = [
        {
            "number": str(number),
            "name": on_one_line(track.name),
            "colour": track.colour,
            "gain": decimal(track.gain),
            "pan": decimal((1 + track.pan) / 2),
            "is_muted": _truth(track.is_muted),
            "is_solo": _truth(track.is_solo),
            "file": track.file,
        }
        for number, track in enumerate(project.tracks)
    ]
    values: Values = {
        "version": version,
        "tempo": decimal(project.tempo),
        "seconds": f"{project.seconds:.9f}",
        "n_channels": str(project.n_channels),
        "sample_rate": str(project.sample_rate),
        "tracks": tracks,
    }
    return _document("dawproject.xml", values)


def metadata_xml(project: Project) -> bytes:
    """``metadata.xml``: what the song's tags say."""
    elements = []
    for name, keys in METADATA.items():
        texts = [on_one_line(project.tags[key]) for key in keys if key in project.tags]
        text = next(filter(None, texts), on_one_line(project.title) if name == "Title" else "")
        if text:
            elements.append({"element": name, "text": text})
    return _document("metadata.xml", {"elements": elements})


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _document(template: str, values: Values) -> bytes:
    text = filled(template, values, lambda value: escape(value, {'"': "&quot;"}))
    return text.encode("utf-8", "xmlcharrefreplace")

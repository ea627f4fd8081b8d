"""DAWproject 1.0 (https://github.com/bitwig/dawproject), which Bitwig Studio, Studio One and Cubase open.

A ``.dawproject`` file is a ZIP archive with ``project.xml``, ``metadata.xml``, and the audio files that the project
names. The order of elements and the names of attributes are those of its schemas, Project.xsd and MetaData.xsd. Clips
are placed in seconds, so that the audio does not move if somebody changes the tempo.
"""

from __future__ import annotations

from itertools import count
from xml.etree.ElementTree import Element, SubElement, tostring

from unweave.audio.projects import LOUDEST, Project, on_one_line

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
    identifiers = (f"id{number}" for number in count())

    def add(parent: Element, tag: str, /, **attributes: str) -> Element:
        return SubElement(parent, tag, {**attributes, "id": next(identifiers)})

    def number(parent: Element, name: str, value: float, unit: str, low: float, high: float) -> None:
        add(parent, name, min=f"{low:g}", max=f"{high:g}", unit=unit, value=f"{value:.9g}", name=name)

    def channel(track: Element, gain: float, pan: float, is_muted: bool, **attributes: str) -> Element:
        one = add(track, "Channel", audioChannels="2", **attributes)
        add(one, "Mute", value=_truth(is_muted), name="Mute")
        number(one, "Pan", (1 + pan) / 2, "normalized", 0, 1)
        number(one, "Volume", gain, "linear", 0, LOUDEST)
        return one

    root = Element("Project", version="1.0")
    SubElement(root, "Application", name="unweave", version=version)
    transport = SubElement(root, "Transport")
    number(transport, "Tempo", project.tempo, "bpm", 20, 999)
    add(transport, "TimeSignature", numerator="4", denominator="4")

    structure = SubElement(root, "Structure")
    master = Element(
        "Track", {"contentType": "audio notes", "loaded": "true", "id": next(identifiers), "name": "Master"}
    )
    output = channel(master, 1, 0, False, role="master", solo="false").attrib["id"]
    tracks = []
    for each in project.tracks:
        track = add(
            structure, "Track", contentType="audio", loaded="true", name=on_one_line(each.name), color=each.colour
        )
        channel(
            track, each.gain, each.pan, each.is_muted, role="regular", solo=_truth(each.is_solo), destination=output
        )
        tracks.append((each, track.attrib["id"]))
    structure.append(master)

    seconds = f"{project.seconds:.9f}"
    lanes = add(add(root, "Arrangement"), "Lanes", timeUnit="seconds")
    for each, identifier in tracks:
        clips = add(add(lanes, "Lanes", track=identifier), "Clips")
        clip = SubElement(
            clips, "Clip", time="0", duration=seconds, contentTimeUnit="seconds", playStart="0", playStop=seconds,
            name=on_one_line(each.name),
        )  # fmt: skip
        audio = add(
            clip, "Audio", timeUnit="seconds", duration=seconds, channels=str(project.n_channels),
            sampleRate=str(project.sample_rate),
        )  # fmt: skip
        SubElement(audio, "File", path=each.file, external="false")
    SubElement(root, "Scenes")
    return _document(root)


def metadata_xml(project: Project) -> bytes:
    """``metadata.xml``: what the song's tags say."""
    root = Element("MetaData")
    for name, keys in METADATA.items():
        texts = [on_one_line(project.tags[key]) for key in keys if key in project.tags]
        text = next(filter(None, texts), on_one_line(project.title) if name == "Title" else "")
        if text:
            SubElement(root, name).text = text
    return _document(root)


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _document(root: Element) -> bytes:
    raw: bytes = tostring(root, encoding="UTF-8", xml_declaration=True)
    return raw

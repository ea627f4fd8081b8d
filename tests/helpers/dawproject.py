"""A reader of DAWproject files, which looks at every element as Project.xsd and MetaData.xsd (version 1.0) would.

It knows the part of the schemas that unweave's files use: which elements there are, in which order, and with which
attributes. Anything else fails.
"""

import zipfile
from dataclasses import dataclass, field
from xml.etree import ElementTree

NAMED = {"id": str, "name": str, "color": str, "comment": str}
BOOLEAN = {"true": True, "false": False}.__getitem__


def one_of(*words):
    return dict(zip(words, words, strict=True)).__getitem__


UNIT = one_of("linear", "normalized", "percent", "decibel", "hertz", "semitones", "seconds", "beats", "bpm")
TIME_UNIT = one_of("beats", "seconds")
REAL = ({"unit"}, NAMED | {"unit": UNIT, "value": float, "min": float, "max": float}, [])
TIMELINE = NAMED | {"timeUnit": TIME_UNIT, "track": str}

METADATA = ["Title", "Artist", "Album", "OriginalArtist", "Composer", "Songwriter", "Producer", "Arranger", "Year",
            "Genre", "Copyright", "Website", "Comment"]  # fmt: skip

# Element → attributes that it must have, those that it may have, and its children in their order (*: any number).
ELEMENTS = {
    "Project": ({"version"}, {"version": str}, ["Application", "Transport", "Structure", "Arrangement", "Scenes"]),
    "Application": ({"name", "version"}, {"name": str, "version": str}, []),
    "Transport": (set(), {}, ["Tempo", "TimeSignature"]),
    "Tempo": REAL,
    "TimeSignature": ({"numerator", "denominator"}, NAMED | {"numerator": int, "denominator": int}, []),
    "Structure": (set(), {}, ["Track*"]),
    "Track": (set(), NAMED | {"contentType": str, "loaded": BOOLEAN}, ["Channel", "Track*"]),
    "Channel": (
        set(),
        NAMED
        | {
            "audioChannels": int,
            "destination": str,
            "role": one_of("regular", "master", "effect", "submix", "vca"),
            "solo": BOOLEAN,
        },
        ["Devices", "Mute", "Pan", "Sends", "Volume"],
    ),
    "Mute": (set(), NAMED | {"value": BOOLEAN}, []),
    "Pan": REAL,
    "Volume": REAL,
    "Arrangement": (set(), NAMED, ["Lanes", "Markers", "TempoAutomation", "TimeSignatureAutomation"]),
    "Lanes": (set(), TIMELINE, ["Lanes*", "Clips*"]),
    "Clips": (set(), TIMELINE, ["Clip*"]),
    "Clip": (
        {"time"},
        {"name": str, "color": str, "comment": str, "contentTimeUnit": TIME_UNIT}
        | dict.fromkeys(("time", "duration", "playStart", "playStop"), float),
        ["Audio"],
    ),
    "Audio": (
        {"channels", "sampleRate", "duration"},
        TIMELINE | {"channels": int, "sampleRate": int, "duration": float, "algorithm": str},
        ["File"],
    ),
    "File": ({"path"}, {"path": str, "external": BOOLEAN}, []),
    "Scenes": (set(), {}, ["Scene*"]),
    "MetaData": (set(), {}, METADATA),
} | dict.fromkeys(METADATA, (set(), {}, []))
REFERENCES = ("destination", "track")


@dataclass
class Track:
    """A track with what it plays."""

    name: str
    colour: str
    gain: float
    pan: float
    is_muted: bool
    is_solo: bool
    clips: list = field(default_factory=list)  # time, duration, path, sample rate, channels


def check(element):
    """Fail for what the schemas do not allow."""
    required, allowed, children = ELEMENTS[element.tag]
    assert required <= set(element.attrib), element.tag
    for name, value in element.attrib.items():
        allowed[name](value)
    order = [child.rstrip("*") for child in children]
    places = [order.index(child.tag) for child in element]
    assert places == sorted(places), element.tag
    for place in set(places):
        assert children[place].endswith("*") or places.count(place) == 1, element.tag
    for child in element:
        check(child)


def parse(raw):
    """A document that is right in itself: elements, identifiers, references."""
    root = ElementTree.fromstring(raw)
    check(root)
    identifiers = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(set(identifiers)) == len(identifiers)
    for element in root.iter():
        for name in REFERENCES:
            assert element.attrib.get(name, identifiers[0] if identifiers else None) in [*identifiers, None]
    return root


def tracks_of(root):
    """The tracks but the master, to which all of them must lead."""
    tracks, masters, destinations = {}, [], []
    for track in root.find("Structure"):
        channel = track.find("Channel")
        if channel.attrib["role"] == "master":
            masters.append(channel.attrib["id"])
            continue
        destinations.append(channel.attrib["destination"])
        tracks[track.attrib["id"]] = Track(
            track.attrib["name"],
            track.attrib["color"],
            float(channel.find("Volume").attrib["value"]),
            float(channel.find("Pan").attrib["value"]),
            BOOLEAN(channel.find("Mute").attrib["value"]),
            BOOLEAN(channel.attrib["solo"]),
        )
    assert len(masters) == 1
    assert set(destinations) <= set(masters)
    lanes = root.find("Arrangement/Lanes")
    assert lanes.attrib["timeUnit"] == "seconds"
    for lane in lanes:
        for clip in lane.iter("Clip"):
            audio = clip.find("Audio")
            assert audio.attrib["timeUnit"] == "seconds"
            tracks[lane.attrib["track"]].clips.append(
                (
                    float(clip.attrib["time"]),
                    float(clip.attrib["duration"]),
                    audio.find("File").attrib["path"],
                    int(audio.attrib["sampleRate"]),
                    int(audio.attrib["channels"]),
                )
            )
    return list(tracks.values())


def read(path, folder):
    """The tracks, the tempo and the metadata of a file, whose audio is unpacked into ``folder``."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        project, metadata = parse(archive.read("project.xml")), parse(archive.read("metadata.xml"))
        archive.extractall(folder)
    tracks = tracks_of(project)
    named = [clip[2] for track in tracks for clip in track.clips]
    assert sorted(named) == sorted(set(names) - {"project.xml", "metadata.xml"})
    tempo = float(project.find("Transport/Tempo").attrib["value"])
    return tracks, tempo, {element.tag: element.text for element in metadata}

"""What projects say, letter by letter."""

import pytest

from tests.helpers import dawproject, reaper
from unweave.audio.colours import COLOURS, colour_of
from unweave.audio.dawproject import metadata_xml, project_xml
from unweave.audio.projects import Project, ProjectTrack, on_one_line, tempo_in
from unweave.audio.reaper import can_name, native_colour, project_text, quoted

# Names as strangers write them.
NAMES = (
    "vocals",
    'the "main" voice',
    "<b>&amp;</b>",
    "L'été n° 1 – 夏",
    "a\nb\tc\0d",
    "half \ud800 a letter",
    "{tempo} {#tracks}",
    "`'\"",
)


def project(**changes):
    tracks = [
        ProjectTrack("vocals", "song/vocals.wav", "#56B4E9", 0.5, -0.25, is_muted=True),
        ProjectTrack("drums", "song/drums.wav", "#009E73", 1.25, 1.0, is_solo=True),
    ]
    values = {"title": "song", "tracks": tracks, "sample_rate": 48000, "n_channels": 2, "n_samples": 72_001}
    return Project(**values | changes)


def test_a_dawproject_holds_tracks_with_their_faders():
    root = dawproject.parse(project_xml(project(tempo=92.5), "1.2.3"))
    assert root.find("Application").attrib == {"name": "unweave", "version": "1.2.3"}
    assert root.find("Transport/Tempo").attrib["value"] == "92.5"
    vocals, drums = dawproject.tracks_of(root)
    seconds = round(72_001 / 48_000, 9)
    assert vocals == dawproject.Track(
        "vocals", "#56B4E9", 0.5, 0.375, True, False, [(0, seconds, "song/vocals.wav", 48000, 2)]
    )
    assert drums == dawproject.Track(
        "drums", "#009E73", 1.25, 1.0, False, True, [(0, seconds, "song/drums.wav", 48000, 2)]
    )


def test_a_reaper_project_holds_tracks_with_their_faders():
    text = project_text(project(tempo=92.5, tags={"title": "Song no. 1", "artist": "Me"}), "1.2.3").decode()
    root = reaper.parse(text)
    assert root.values == ["REAPER_PROJECT", "0.1", "6.0/unweave-1.2.3", "0"]
    assert root.one("TEMPO") == ["92.5", "4", "4"]
    assert root.one("SAMPLERATE")[:2] == ["48000", "1"]
    assert root.one("TITLE") == ["Song no. 1"]
    assert root.one("AUTHOR") == ["Me"]
    vocals, drums = root.all("TRACK")
    assert vocals.one("NAME") == ["vocals"]
    assert vocals.one("VOLPAN")[:2] == ["0.5", "-0.25"]
    assert vocals.one("MUTESOLO")[:2] == ["1", "0"]
    assert drums.one("VOLPAN")[:2] == ["1.25", "1"]
    assert drums.one("MUTESOLO")[:2] == ["0", "1"]
    (item,) = vocals.all("ITEM")
    assert float(item.one("POSITION")[0]) == 0
    assert float(item.one("LENGTH")[0]) == pytest.approx(72_001 / 48_000, abs=1e-9)
    assert float(item.one("FADEIN")[1]) == float(item.one("FADEOUT")[1]) == 0
    (source,) = item.all("SOURCE")
    assert source.values == ["SOURCE", "WAVE"]
    assert source.one("FILE") == ["song/vocals.wav"]


def test_colours_have_red_in_the_lowest_byte_in_reaper():
    assert native_colour("#FF8001") == 0x10180FF
    assert reaper.parse(project_text(project(), "1").decode()).all("TRACK")[0].one("PEAKCOL") == [str(0x1E9B456)]


def test_every_stem_has_a_colour():
    assert colour_of("Vocals") == "#56B4E9"
    assert colour_of("theremin") not in COLOURS.values()
    assert len(set(COLOURS.values())) == len(COLOURS)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_comes_through(name):
    tracks = [ProjectTrack(name, "a.wav", "#000000")]
    one = project(title=name, tracks=tracks, tags={"artist": name, "comment": name})
    (track,) = dawproject.tracks_of(dawproject.parse(project_xml(one, "1")))
    assert track.name == on_one_line(name)
    metadata = dawproject.parse(metadata_xml(one))
    assert {element.tag: element.text for element in metadata} == dict.fromkeys(
        ("Title", "Artist", "Comment"), on_one_line(name)
    )
    root = reaper.parse(project_text(one, "1").decode())
    expected = on_one_line(name).replace("`", "'") if name == NAMES[-1] else on_one_line(name)
    assert root.all("TRACK")[0].one("NAME") == root.one("TITLE") == root.one("AUTHOR") == [expected]


def test_what_no_line_can_hold():
    assert on_one_line("a\nb\u2028c\x85\ufffed\x7f") == "a b c  d"
    assert on_one_line("half \ud800 a letter") == "half ? a letter"
    assert on_one_line("夏🎵") == "夏🎵"


def test_quotes_that_are_not_in_the_text():
    assert quoted("a b") == '"a b"'
    assert quoted('a "b"') == "'a \"b\"'"
    assert quoted("a \"b\" 'c'") == "`a \"b\" 'c'`"
    assert quoted("a \"b\" 'c' `d`") == "`a \"b\" 'c' 'd'`"


@pytest.mark.parametrize(("name", "can"), [("x/a b.wav", True), ("\"'.wav", True), ("\"'`.wav", False), ("a\n", False)])
def test_files_that_reaper_can_name(name, can):
    assert can_name(name) is can


def test_metadata_is_what_the_tags_say():
    tags = {"title": "T", "performer": "P", "album": "A", "date": "1999", "genre": " ", "isrc": "x"}
    root = dawproject.parse(metadata_xml(project(tags=tags)))
    assert [(e.tag, e.text) for e in root] == [("Title", "T"), ("Artist", "P"), ("Album", "A"), ("Year", "1999")]
    assert [(e.tag, e.text) for e in dawproject.parse(metadata_xml(project()))] == [("Title", "song")]


@pytest.mark.parametrize(
    ("tags", "tempo"),
    [
        ({"bpm": "128"}, 128),
        ({"tbpm": " 92,5 "}, 92.5),
        ({"bpm": "fast", "tbpm": "60"}, 60),
        ({"bpm": "0"}, None),
        ({"bpm": "nan"}, None),
        ({"bpm": "1000"}, None),
        ({}, None),
    ],
)
def test_the_tempo_of_the_tags(tags, tempo):
    assert tempo_in(tags) == tempo

"""Stems by the names that people have for them."""

import numpy as np
import pytest

from tests.audio.test_files import write
from tests.helpers.pipelines import Scaled
from tests.helpers.signals import noise
from tests.helpers.toys import TOY_FOUR, write_toy
from unweave import OptionError, Separator
from unweave.separation.choice import Choice, choose
from unweave.separation.output import OutputOptions
from unweave.separation.pipeline import completed_stream
from unweave.separation.stream import StreamFormat

FOUR = ("vocals", "drums", "bass", "other")


def test_what_is_meant():
    assert choose(None, FOUR, "m") == Choice(FOUR)
    assert choose("Drums", FOUR, "m") == Choice(("Drums",), own={"Drums": "drums"})
    assert choose(["instrumental", "bass"], FOUR, "m") == Choice(
        ("instrumental", "bass"), complements={"instrumental": "vocals"}
    )
    assert choose(["no_drums"], FOUR, "m").complements == {"no_drums": "drums"}
    assert choose(["no_vocals", "accompaniment"], ("Vocals", "other"), "m").own == {
        "no_vocals": "other", "accompaniment": "other",
    }  # fmt: skip
    assert choose(["other"], ("vocals", "instrumental"), "m").own == {"other": "instrumental"}
    assert choose(["no_crowd"], ("no_crowd", "crowd"), "m") == Choice(("no_crowd",))
    assert choose(["instrumental", "vocals"], FOUR, "m").separated == ("vocals",)


@pytest.mark.parametrize("given", [["kazoo"], ["no_kazoo"], [], ["no_"], ["other"]])
def test_what_there_is_not(given):
    with pytest.raises(OptionError, match=r"expected stems of m \(vocals, drums\), got "):
        choose(given, ("vocals", "drums"), "m")


def parts(choice, **options):
    mixture = noise(5000)
    pipeline = Scaled({"vocals": 0.25, "drums": 0.5, "other": 0.125}, rest="other")
    stream = completed_stream(pipeline, StreamFormat(44100, 2, 44100, 2), choice, **options)
    stems = [stream.push(mixture), stream.flush()]
    return {name: np.concatenate([part[name] for part in stems], axis=1) / mixture for name in stems[0]}


def test_complements_are_what_the_mixture_has_besides():
    names = ("instrumental", "no_drums", "drums")
    shares = parts(choose(names, ("vocals", "drums", "other"), "m"), fills_up=True)
    assert tuple(shares) == names
    for name, share in {"instrumental": 0.75, "no_drums": 0.5, "drums": 0.5}.items():
        np.testing.assert_allclose(shares[name], share, atol=1e-4)


def test_with_the_rest_and_with_a_residual():
    stems = ("vocals", "drums", "other")
    filled = parts(choose(("no_other", "Other"), stems, "m"), fills_up=True)
    np.testing.assert_allclose(filled["Other"], 0.25, atol=1e-4)  # what is lost is among the rest
    np.testing.assert_allclose(filled["no_other"], 0.75, atol=1e-4)
    kept = parts(choose(("no_drums",), stems, "m"), fills_up=False, keeps_residual=True)
    assert tuple(kept) == ("no_drums", "residual")
    np.testing.assert_allclose(kept["residual"], 0.5, atol=1e-4)


@pytest.mark.parametrize(
    ("names", "residual"),
    [
        (("vocals", "Vocals"), 0.75),
        (("no_drums", "vocals"), 0.5),
        (("no_drums", "drums"), 0.0),
        (("no_drums", "no_vocals"), 0.0),
        (("vocals", "drums"), 0.25),
    ],
)
def test_what_several_stems_share_is_taken_from_the_mixture_once(names, residual):
    choice = choose(names, ("vocals", "drums", "other"), "m")
    shares = parts(choice, fills_up=False, keeps_residual=True)
    np.testing.assert_allclose(shares["residual"], residual, atol=1e-4)


@pytest.mark.parametrize(
    ("names", "overlaps"),
    [
        (FOUR, False),
        (("vocals", "Vocals"), True),
        (("instrumental", "vocals"), False),
        (("instrumental",), False),
        (("instrumental", "drums"), True),
        (("no_drums", "no_vocals"), True),
    ],
)
def test_which_stems_share_sound(names, overlaps):
    assert choose(names, FOUR, "m").overlaps == overlaps


def test_stems_of_one_file_share_no_sound(tmp_path, cache):
    separator = Separator(write_toy(tmp_path, TOY_FOUR), threads=2)
    song = write(tmp_path / "song.wav", noise(20_000))
    with pytest.raises(OptionError, match=r"of a stem\.mp4 file must not share any sound, as instrumental, drums do"):
        separator.separate_file(song, tmp_path / "out", OutputOptions("stem.mp4"), stems=["instrumental", "drums"])
    assert not (tmp_path / "out").exists()


def test_of_a_model(tmp_path, cache):
    separator = Separator(write_toy(tmp_path, TOY_FOUR), threads=2)
    mixture = noise(20_000)
    assert separator.stem_names(["instrumental"]) == ("instrumental",)
    stems = separator.separate(mixture, 44100, stems=["instrumental", "vocals"])
    np.testing.assert_allclose(stems["instrumental"], mixture - stems["vocals"], atol=1e-6)


def test_live(tmp_path, cache):
    """As `unweave live -p 4stems` does, whose default is the accompaniment."""
    separator = Separator(write_toy(tmp_path, TOY_FOUR), threads=2)
    mixture = noise(20_000)
    whole = separator.live(latency_seconds=0.02).push(mixture)
    for name in ("accompaniment", "instrumental", "no_vocals"):
        stems = separator.live(latency_seconds=0.02, stems=[name, "Vocals"]).push(mixture)
        rest = sum(whole[stem] for stem in whole if stem != "vocals")
        np.testing.assert_allclose(stems[name], rest, atol=1e-6)
        np.testing.assert_array_equal(stems["Vocals"], whole["vocals"])

"""Scores are taken up only where everything that they depend on is the same."""

import json
import os
import re

import numpy as np
import pytest

from tests.audio.test_files import write
from tests.helpers.signals import noise
from tests.helpers.toys import TOY, write_toy
from unweave.cli.evaluate import DEFAULT_FOLDER
from unweave.evaluation import scores as scores_module
from unweave.evaluation.evaluate import evaluate, read_scores
from unweave.evaluation.origin import folder_name, origin_of, weights_checksum
from unweave.evaluation.tracks import find_tracks
from unweave.separation.separator import Separator

SECOND = 44100


def write_track(folder, seed=0, names=("vocals", "drums"), suffix="wav"):
    for number, name in enumerate(names):
        write(folder / f"{name}.{suffix}", noise(SECOND, seed=seed + number))
    return folder


@pytest.fixture
def track(tmp_path):
    write_track(tmp_path / "set" / "song")
    (track,) = find_tracks(tmp_path / "set")
    return track


def toy_of(folder, seed=0, **options):
    folder.mkdir()
    return Separator(str(write_toy(folder, TOY, seed)), threads=1, **options)


@pytest.fixture
def in_process(monkeypatch):
    """Score in this process, and without museval, which takes seconds to import in each new one."""
    from concurrent.futures import Future

    from unweave.evaluation import evaluate as evaluate_module

    class Here:
        def __init__(self, jobs):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def submit(self, track, arguments):
            future = Future()
            future.set_result(scores_module.score(track, *arguments))
            return future

        def result(self, job):
            return job.result()

    monkeypatch.setattr(evaluate_module, "_Scorers", Here)
    monkeypatch.setattr(
        scores_module,
        "bss_eval",
        lambda references, estimates, rate: {
            metric: np.zeros((len(references), 1)) for metric in scores_module.BSS_METRICS
        },
    )


def counted(separator):
    """The mixtures that ``separator`` is asked for from here on."""
    asked, run = [], separator.separate
    separator.separate = lambda *arguments: asked.append(arguments) or run(*arguments)
    return asked


def test_another_model_or_setting_is_scored_anew(in_process, track, tmp_path, cache):
    out = tmp_path / "out"
    first = toy_of(tmp_path / "one", 0)
    (before,) = evaluate(first, [track], out)
    asked = counted(first)
    (again,) = evaluate(first, [track], out)
    assert not asked
    assert again == before
    same_name_other_weights = toy_of(tmp_path / "two", 1)
    same_model = str(tmp_path / "one" / "toy.json")
    others = [
        same_name_other_weights,
        Separator(same_model, threads=1, quality="exact"),
        Separator(same_model, threads=1, shifts=2),
        Separator(same_model, threads=1, wiener="segment"),
        Separator(f"{same_model}*2+{same_model}", threads=1),
        Separator(f"{same_model}+{same_model}", threads=1, rule="max_wave"),
        Separator(same_model, threads=1, tta=True),
        Separator(f"{same_model}+{same_model}", threads=1),
    ]
    for other in others:
        asked = counted(other)
        (scores,) = evaluate(other, [track], out)
        assert len(asked) == 1, other.settings
        assert read_scores(out / "song.json") == scores
    assert json.loads((out / "song.json").read_text())["unweave"]["origin"]["model"] == f"{same_model}+{same_model}"


def test_retrained_weights_under_one_name_are_scored_anew(in_process, track, tmp_path, cache):
    evaluate(toy_of(tmp_path / "one", 0), [track], tmp_path / "out")
    write_toy(tmp_path / "one", TOY, 1)
    retrained = Separator(str(tmp_path / "one" / "toy.json"), threads=1)
    asked = counted(retrained)
    evaluate(retrained, [track], tmp_path / "out")
    assert asked


def test_another_version_is_scored_anew(in_process, track, tmp_path, cache, monkeypatch):
    toy = toy_of(tmp_path / "one")
    evaluate(toy, [track], tmp_path / "out")
    monkeypatch.setattr("unweave.__version__", "99.0")
    asked = counted(toy)
    evaluate(toy, [track], tmp_path / "out")
    assert asked


def test_changed_audio_is_scored_anew(in_process, track, tmp_path, cache):
    import os

    toy = toy_of(tmp_path / "one")
    evaluate(toy, [track], tmp_path / "out")
    vocals = track.path / "vocals.wav"
    status = vocals.stat()
    write(vocals, noise(SECOND, seed=77))
    os.utime(vocals, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert vocals.stat().st_size == status.st_size
    asked = counted(toy)
    (scores,) = evaluate(toy, [track], tmp_path / "out")
    assert asked
    assert read_scores(tmp_path / "out" / "song.json") == scores


def test_a_track_of_that_name_in_another_data_set_is_scored_anew(in_process, track, tmp_path, cache):
    toy = toy_of(tmp_path / "one")
    evaluate(toy, [track], tmp_path / "out")
    write_track(tmp_path / "copy" / "song")
    asked = counted(toy)
    evaluate(toy, find_tracks(tmp_path / "copy"), tmp_path / "out")
    assert asked


def test_scores_of_older_versions_are_not_taken_up(in_process, track, tmp_path, cache):
    toy = toy_of(tmp_path / "one")
    evaluate(toy, [track], tmp_path / "out")
    path = tmp_path / "out" / "song.json"
    old = json.loads(path.read_text())
    del old["unweave"]["origin"]
    path.write_text(json.dumps(old))
    asked = counted(toy)
    evaluate(toy, [track], tmp_path / "out")
    assert asked


def test_tracks_with_one_name_have_a_file_each(in_process, tmp_path, cache):
    for seed, artist in enumerate(("artist 1", "artist 2", "Artist 2/live")):
        write_track(tmp_path / "set" / artist / "Intro", seed=10 * seed + 10)
    write_track(tmp_path / "set" / "intro")
    write_track(tmp_path / "set" / "Outro")
    tracks = find_tracks(tmp_path / "set")
    names = {track.name for track in tracks}
    assert names == {"artist 1/Intro", "artist 2/Intro", "live/Intro", "set/intro", "Outro"}
    scores = evaluate(toy_of(tmp_path / "one"), tracks, tmp_path / "out")
    assert {each.track for each in scores} == names
    assert {
        path.relative_to(tmp_path / "out").with_suffix("").as_posix() for path in tmp_path.rglob("out/**/*.json")
    } == names
    kept = [json.loads(path.read_text())["unweave"] for path in tmp_path.rglob("out/**/*.json")]
    assert len({each["origin"]["content"] for each in kept}) == 4  # "set/intro" and "Outro" are alike


def test_tracks_that_no_folder_tells_apart_are_numbered():
    from pathlib import Path

    from unweave.evaluation.tracks import Track, named_apart

    twice = [Track("x", Path("/a/x")), Track("x", Path("/a/x.stem.mp4")), Track("y", Path("/a/../y"))]
    names = [track.name for track in named_apart(twice)]
    assert len(set(names)) == 3
    assert not any(".." in name or name.startswith("/") for name in names)


def test_the_default_folder_is_of_one_model_and_its_settings(tmp_path, cache):
    def name(model, **changes):
        return folder_name({"model": model, "quality": "balanced", "wiener": None, "shifts": 1, **changes})

    assert name("spleeter:2stems") == "spleeter-2stems-balanced"
    names = [
        name("spleeter:2stems"),
        name("spleeter:2stems", quality="exact"),
        name("spleeter:2stems", wiener="track"),
        name("spleeter:2stems", shifts=3),
        name("spleeter:2stems+htdemucs"),
        name("one/model.onnx"),
        name("two/model.onnx"),
        name(os.fsdecode(b"caf\xe9/model.onnx")),
    ]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9._+-]+", each) for each in names)
    assert DEFAULT_FOLDER.name == "evaluation"


def test_the_checksum_reads_every_part_of_a_model(tmp_path, cache):
    write_toy_in = lambda name, seed: (tmp_path / name).mkdir() or str(write_toy(tmp_path / name, TOY, seed))  # noqa: E731
    one, two = write_toy_in("one", 0), write_toy_in("two", 1)
    assert weights_checksum(one) != weights_checksum(two)
    assert weights_checksum(f"{one}+{one}") != weights_checksum(f"{one}+{two}")
    data = next((tmp_path / "two" / "weights").glob("*.data-*"))
    before = weights_checksum(f"{one}+{two}")
    raw = bytearray(data.read_bytes())
    raw[-1] ^= 1
    data.write_bytes(raw)
    assert weights_checksum(f"{one}+{two}") != before


def test_the_origin_of_a_cascade_knows_its_first_model():
    chain = weights_checksum("unweave:4stems")
    separator = Separator("unweave:4stems", threads=1)
    assert origin_of(separator).weights == chain
    assert origin_of(separator).settings["quality"] == "balanced"

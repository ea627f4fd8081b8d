import csv
import json
import re
import sys

import av
import numpy as np
import pytest

from tests.audio.test_files import write
from tests.cli.test_separate import unweave
from tests.helpers.signals import noise
from unweave.errors import AudioReadError
from unweave.evaluation.evaluate import METRICS, evaluate, read_scores
from unweave.evaluation.metrics import bss_eval, sdr, si_sdr
from unweave.evaluation.report import medians, speed, write_box_plot, write_csv
from unweave.evaluation.tracks import find_tracks, matched


def stems(n_samples=44100 * 3):
    return {name: noise(n_samples, seed=seed) for seed, name in enumerate(("vocals", "drums", "bass", "other"))}


@pytest.fixture
def folders(tmp_path):
    """Two tracks as folders of files, one with a mixture of its own."""
    for number in range(2):
        folder = tmp_path / "set" / f"track {number}"
        for name, stem in stems().items():
            write(folder / f"{name}.wav", stem)
        if number:
            write(folder / "mixture.wav", np.clip(sum(stems().values()), -1, 1))
    return tmp_path / "set"


@pytest.fixture
def musdb(tmp_path):
    """A track as MUSDB18 has it: five AAC streams in one MP4."""
    parts = stems()
    streams = [sum(parts.values()), parts["drums"], parts["bass"], parts["other"], parts["vocals"]]
    path = tmp_path / "musdb" / "train" / "Artist - Song.stem.mp4"
    path.parent.mkdir(parents=True)
    with av.open(str(path), "w", options={"movie_timescale": "44100"}) as out:
        encoders = [out.add_stream("aac", rate=44100, layout="stereo") for _ in streams]
        for encoder, samples in zip(encoders, streams, strict=True):
            encoder.codec_context.bit_rate = 256_000
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
            frame.pts = 0
            frame.sample_rate = 44100
            out.mux(encoder.encode(frame))
            out.mux(encoder.encode(None))
    return tmp_path / "musdb"


def test_tracks_of_folders(folders):
    tracks = find_tracks(folders)
    assert [track.name for track in tracks] == ["track 0", "track 1"]
    for track in tracks:
        mixture, references, rate = track.load()
        assert rate == 44100
        assert set(references) == set(stems())
        np.testing.assert_allclose(mixture, np.clip(sum(references.values()), -1, 1), atol=1e-4)


def test_tracks_of_musdb(musdb):
    (track,) = find_tracks(musdb)
    assert track.name == "Artist - Song"
    mixture, references, _ = track.load()
    assert mixture.shape == (2, 44100 * 3)
    assert list(references) == ["drums", "bass", "other", "vocals"]
    for name, stem in stems().items():
        assert np.corrcoef(references[name].ravel(), stem.ravel())[0, 1] > 0.8


def test_no_tracks(tmp_path):
    with pytest.raises(AudioReadError, match="no tracks"):
        find_tracks(tmp_path)
    with pytest.raises(AudioReadError, match="not a folder"):
        find_tracks(tmp_path / "missing")


def test_stems_are_mapped():
    parts = stems(100)
    pairs = matched({"vocals": parts["vocals"], "accompaniment": noise(100)}, parts)
    np.testing.assert_allclose(pairs["accompaniment"][0], parts["drums"] + parts["bass"] + parts["other"], atol=1e-6)
    five = {**parts, "piano": noise(100, seed=9)}
    pairs = matched(five, parts)
    assert set(pairs) == set(parts)
    np.testing.assert_array_equal(pairs["other"][1], parts["other"] + five["piano"])


def test_figures_of_merit():
    reference, error = noise(44100), noise(44100, seed=1)
    assert sdr(reference, reference + 0.1 * error) == pytest.approx(20, abs=0.1)
    assert si_sdr(reference, 3 * reference) > 80
    assert si_sdr(reference, 3 * (reference + 0.1 * error)) == pytest.approx(20, abs=0.1)
    assert sdr(reference, np.zeros_like(reference)) == pytest.approx(0, abs=0.01)


def test_bss_eval_is_musevals():
    import museval

    references = np.stack(list(stems().values()))[:2]
    estimates = references + 0.3 * references[::-1]
    ours = bss_eval(references, estimates, 44100)
    theirs = museval.evaluate(references.transpose(0, 2, 1), estimates.transpose(0, 2, 1), win=44100, hop=44100)
    np.testing.assert_array_equal(ours["SDR"], theirs[0])
    assert ours["SDR"].shape == (2, 3)
    assert np.median(ours["SDR"]) == pytest.approx(-20 * np.log10(0.3), abs=0.5)


def test_evaluate_goes_on_where_it_stopped(toy, folders, tmp_path):
    tracks = find_tracks(folders)
    seen = []
    scores = evaluate(toy, tracks, tmp_path / "scores", on_scores=seen.append)
    assert [each.track for each in scores] == ["track 0", "track 1"]
    for each in scores:
        assert set(each.values) == {"vocals", "accompaniment"}
        assert set(each.values["vocals"]) == set(METRICS)
    kept = json.loads((tmp_path / "scores/track 0.json").read_text())
    assert [target["name"] for target in kept["targets"]] == ["vocals", "accompaniment"]
    assert set(kept["targets"][0]["frames"][0]["metrics"]) == {"SDR", "ISR", "SIR", "SAR"}

    (tmp_path / "scores/track 1.json").write_text("{ half written")
    assert read_scores(tmp_path / "scores/track 1.json") is None
    toy.separate, run = (lambda *args: ran.append(args) or run(*args)), toy.separate
    ran = []
    again = evaluate(toy, tracks, tmp_path / "scores")
    assert len(ran) == 1
    assert [each.values for each in again] == [each.values for each in scores]

    write_csv(scores, tmp_path / "scores.csv")
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))
    assert len(rows) == 2 * 2 * len(METRICS)
    write_box_plot(scores, tmp_path / "scores.png")
    assert (tmp_path / "scores.png").read_bytes().startswith(b"\x89PNG")
    assert medians(scores)["vocals"]["SDR"] == np.median([each.values["vocals"]["SDR"] for each in scores])
    assert speed(scores) > 0


def test_more_processes_than_windows_can_wait_for(toy, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")  # where Python refuses more than 61
        assert evaluate(toy, [], tmp_path / "scores", jobs=100) == []


def test_command(toy_json, folders, tmp_path):
    options = ("-o", tmp_path / "out", "-j", "1", "--metrics", "uSDR, bleedless")
    result = unweave("evaluate", folders, "-p", toy_json, *options)
    assert result.returncode == 0, result.stderr
    assert "in dB; bleedless from 0 to 100" in result.stdout
    assert "| stem | uSDR | bleedless |" in result.stdout
    assert re.search(r"\| vocals \| -?[\d.]+ \| \d+\.\d\d \|\n", result.stdout)
    assert "times real time" in result.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "track 0.json", "track 1.json", "scores.csv", "scores.png",
    }  # fmt: skip


def test_figures_that_there_are_not(toy_json, folders, tmp_path):
    result = unweave("evaluate", folders, "-p", toy_json, "-o", tmp_path / "out", "--metrics", "SDR,beauty")
    assert result.returncode == 2
    assert "expected metrics among SDR, ISR" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()

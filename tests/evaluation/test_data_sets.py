"""Data sets as they are: silent, mono, short and missing stems, several lengths, broken files."""

import csv
import os
import sys

import numpy as np
import pytest

from tests.audio.test_files import write
from tests.cli.test_separate import unweave
from tests.helpers.signals import noise
from unweave.errors import AudioReadError
from unweave.evaluation.evaluate import METRICS, evaluate, read_scores
from unweave.evaluation.origin import Origin
from unweave.evaluation.report import medians, write_box_plot, write_csv
from unweave.evaluation.scores import Scores, score
from unweave.evaluation.tracks import find_tracks, matched, without_reference

RATE = 8000
N = 3 * RATE
ORIGIN = Origin("toy", "", {}, {})


def pair(seed, n_samples=N, n_channels=2):
    reference = noise(n_samples, seed=seed)[:n_channels]
    return reference, reference + 0.1 * noise(n_samples, seed=seed + 100)[:n_channels]


def scored(tmp_path, pairs, unmatched=()):
    return score("song", pairs, tuple(unmatched), RATE, 1.0, (), tmp_path / "song.json", ORIGIN)


def test_a_silent_reference_has_no_scores_and_changes_no_others(tmp_path):
    pairs = {"vocals": pair(0), "drums": pair(1)}
    expected = scored(tmp_path, pairs).values
    leak = 0.01 * noise(N, seed=9)
    scores = scored(tmp_path, {"silent": (np.zeros_like(leak), leak), **pairs})
    assert all(np.isnan(scores.values["silent"][metric]) for metric in METRICS)
    for stem in pairs:
        assert scores.values[stem] == pytest.approx(expected[stem])
    assert any("silent" in note for note in scores.notes)
    assert len(scores.notes) == 1


def test_a_silent_estimate_has_no_bss_eval_and_changes_no_others(tmp_path):
    pairs = {"vocals": pair(0), "drums": pair(1), "bass": pair(2)}
    expected = scored(tmp_path, pairs).values
    scores = scored(tmp_path, {**pairs, "bass": (pairs["bass"][0], np.zeros((2, N), np.float32))})
    known = [metric for metric in METRICS if not np.isnan(scores.values["bass"][metric])]
    assert known == ["uSDR", "bleedless", "fullness", "L1-freq", "LSD"]
    assert scores.values["bass"]["bleedless"] == 100
    assert scores.values["bass"]["fullness"] < 2
    assert scores.values["bass"]["uSDR"] == pytest.approx(0, abs=0.01)
    for stem in ("vocals", "drums"):
        assert scores.values[stem] == pytest.approx(expected[stem])
    assert any("estimate of bass is silent" in note for note in scores.notes)


def test_channels_that_cancel_are_silent_to_museval_but_not_to_others(tmp_path):
    reference, estimate = pair(0)
    reference[1] = -reference[0]
    scores = scored(tmp_path, {"wide": (reference, estimate), "vocals": pair(1)})
    assert np.isnan(scores.values["wide"]["SDR"])
    assert not np.isnan(scores.values["vocals"]["SDR"])


@pytest.mark.parametrize("n_samples", [1, 100, RATE // 2])
def test_tracks_shorter_than_a_window(tmp_path, n_samples):
    scores = scored(tmp_path, {"vocals": pair(0, n_samples), "drums": pair(1, n_samples)})
    assert np.isfinite(scores.values["vocals"]["uSDR"])
    assert read_scores(tmp_path / "song.json", ORIGIN) is not None


def test_everything_silent(tmp_path):
    silence = np.zeros((2, N), np.float32)
    scores = scored(tmp_path, {"vocals": (silence, silence), "drums": (silence, silence)})
    assert all(np.isnan(value) for values in scores.values.values() for value in values.values())
    assert len(scores.notes) == 2


def test_mono(tmp_path):
    scores = scored(tmp_path, {"vocals": pair(0, n_channels=1), "drums": pair(1, n_channels=1)})
    assert scores.values["vocals"]["SDR"] == pytest.approx(20, abs=1)


def test_one_stem_alone_has_no_interference(tmp_path):
    scores = scored(tmp_path, {"vocals": pair(0)})
    assert scores.values["vocals"]["SDR"] == pytest.approx(20, abs=1)
    assert np.isnan(scores.values["vocals"]["SIR"])


def test_stems_without_a_reference_have_no_scores(tmp_path):
    scores = scored(tmp_path, {"drums": pair(1)}, ["vocals"])
    assert all(np.isnan(value) for value in scores.values["vocals"].values())
    assert any("vocals has no reference" in note for note in scores.notes)
    kept = read_scores(tmp_path / "song.json", ORIGIN)
    assert kept.notes == scores.notes
    np.testing.assert_equal(kept.values, scores.values)


def test_which_stems_have_a_reference():
    one = noise(100)
    assert without_reference({"vocals": one, "accompaniment": one}, {"drums": one, "bass": one}) == ("vocals",)
    np.testing.assert_allclose(
        matched({"accompaniment": one}, {"drums": one, "bass": one})["accompaniment"][0], 2 * one
    )
    assert without_reference({"vocals": one, "accompaniment": one}, {"vocals": one}) == ("accompaniment",)
    assert without_reference({"piano": one, "other": one}, {"other": one}) == ()
    assert without_reference({"piano": one}, {"other": one}) == ("piano",)


def test_mono_and_shorter_files_are_fitted_to_the_others(tmp_path):
    folder = tmp_path / "set" / "song"
    write(folder / "vocals.wav", noise(RATE)[:1], RATE)
    write(folder / "drums.wav", noise(2 * RATE), RATE)
    (track,) = find_tracks(tmp_path / "set")
    recording = track.read()
    assert recording.mixture.shape == (2, 2 * RATE)
    assert {part.shape for part in recording.references.values()} == {(2, 2 * RATE)}
    assert not recording.references["vocals"][:, RATE:].any()
    np.testing.assert_array_equal(recording.references["vocals"][0], recording.references["vocals"][1])
    assert recording.notes == ("its files differ in length by 1.0 s",)
    write(folder / "mixture.wav", noise(RATE + 10), RATE)
    assert track.read().mixture.shape == (2, RATE + 10)


def test_two_files_of_one_stem_are_an_error(tmp_path):
    folder = tmp_path / "set" / "song"
    for name in ("vocals.wav", "vocals.flac", "drums.wav"):
        write(folder / name, noise(RATE), RATE)
    (track,) = find_tracks(tmp_path / "set")
    with pytest.raises(AudioReadError, match="several files for vocals"):
        track.read()


def test_medians_and_files_where_nothing_has_a_value(tmp_path):
    nothing = Scores("a", {"vocals": dict.fromkeys(METRICS, float("nan"))}, 1.0, 1.0)
    assert np.isnan(medians([nothing])["vocals"]["SDR"])
    write_csv([nothing], tmp_path / "scores.csv")
    assert len(list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))) == len(METRICS)
    write_box_plot([nothing], tmp_path / "scores.png")


def test_what_goes_wrong_with_one_track_does_not_end_the_run(toy, tmp_path):
    """A file that is no audio, and a fault of the program's own: both are named, and the third track is scored."""
    for name in ("broken", "faulty", "good"):
        for stem in ("vocals", "drums"):
            write(tmp_path / "set" / name / f"{stem}.wav", noise(RATE), RATE)
    (tmp_path / "set" / "broken" / "vocals.wav").write_bytes(b"RIFF")
    separate, calls = toy.separate, []

    def faulty(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise MemoryError
        return separate(*arguments)

    toy.separate = faulty
    failures = []
    scores = evaluate(toy, find_tracks(tmp_path / "set"), tmp_path / "out", on_failure=failures.append)
    assert [failure.track for failure in failures] == ["broken", "faulty"]
    assert "vocals.wav" in failures[0].reason
    assert failures[1].reason == "MemoryError"
    assert [each.track for each in scores] == ["good"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.json"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python cannot be told so before 3.11")
def test_scoring_processes_import_nothing_from_the_folder_of_the_user(tmp_path, monkeypatch):
    from unweave.evaluation import evaluate as module

    (tmp_path / "multiprocessing.py").write_text(f"open({str(tmp_path / 'was run')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    with module._Scorers(1) as scorers:
        assert scorers._begin(scorers._pool, abs, -1).result() == 1
        # What the user starts himself finds the modules beside it.
        assert "PYTHONSAFEPATH" not in os.environ
    assert not (tmp_path / "was run").exists()


def test_a_scoring_process_that_dies_takes_no_other_track_with_it(tmp_path):
    from unweave.evaluation import evaluate as module

    pairs = {"vocals": pair(0)}
    with module._Scorers(1) as scorers:
        jobs = [
            scorers.submit(name, (pairs, (), RATE, 1.0, (), tmp_path / f"{name}.json", ORIGIN)) for name in ("a", "b")
        ]
        for process in list(scorers._pool._processes.values()):
            process.kill()
        assert [scorers.result(job).track for job in jobs] == ["a", "b"]


def test_command_reports_what_it_cannot_score(toy_json, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        for stem in ("vocals", "drums"):
            write(tmp_path / "set" / name / f"{stem}.wav", noise(RATE), RATE)
    write(tmp_path / "set" / "a" / "vocals.wav", 0 * noise(RATE), RATE)
    (tmp_path / "set" / "b" / "vocals.wav").write_bytes(b"RIFF")
    result = unweave("evaluate", "set", "-p", toy_json, "-j", "1")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "unweave: error: b: cannot read" in result.stderr
    assert "1 of 2 tracks could not be scored" in result.stderr
    assert "the reference of vocals is silent" in result.stderr
    assert "| vocals | – |" in result.stdout
    (folder,) = (tmp_path / "evaluation").iterdir()
    assert {path.name for path in folder.iterdir()} == {"a.json", "scores.csv", "scores.png"}


def test_hidden_files_are_no_stems(tmp_path):
    """macOS leaves such beside every file on foreign disks."""
    for name in ("vocals", "other"):
        write(tmp_path / "song" / f"{name}.wav", noise(N), RATE)
        (tmp_path / "song" / f"._{name}.wav").write_bytes(b"\0\5\x16\7")
    (tmp_path / "._song.stem.mp4").write_bytes(b"\0\5\x16\7")
    (track,) = find_tracks(tmp_path)
    assert sorted(track.read().references) == ["other", "vocals"]


def test_references_that_tell_more_stems_apart_than_the_model_does():
    """A model of four stems has its piano and guitar in the other stem."""
    names = ("vocals", "drums", "bass", "other", "piano", "guitar")
    references = {name: noise(500, seed=number) for number, name in enumerate(names)}
    whole = {name: references[name] for name in names[:3]}
    whole["other"] = references["other"] + references["piano"] + references["guitar"]
    for name, (reference, _) in matched(whole, references).items():
        np.testing.assert_allclose(reference, whole[name], atol=1e-6)
    five = {**whole, "piano": references["piano"]}
    np.testing.assert_allclose(
        matched(five, references)["other"][0], references["other"] + references["guitar"], atol=1e-6
    )
    two = {"vocals": references["vocals"], "accompaniment": np.sum([*references.values()][1:], axis=0)}
    np.testing.assert_allclose(matched(two, references)["accompaniment"][0], two["accompaniment"], atol=1e-6)


@pytest.mark.parametrize("given", ["instrumental", "accompaniment", "no_vocals"])
@pytest.mark.parametrize("estimated", ["instrumental", "accompaniment", "no_vocals"])
def test_a_sum_beside_its_stems_counts_once(given, estimated):
    """By whatever name the model and the data set call everything but the vocals."""
    references = {name: noise(500, seed=number) for number, name in enumerate(("vocals", "drums", "bass"))}
    whole = references["drums"] + references["bass"]
    pairs = matched({"vocals": whole, estimated: whole}, {**references, given: whole})
    np.testing.assert_allclose(pairs[estimated][0], whole, atol=1e-6)
    np.testing.assert_allclose(matched({estimated: whole}, references)[estimated][0], whole, atol=1e-6)


def test_six_stems_against_four():
    """The data set has the guitar and the piano in its other stem."""
    names = ("drums", "bass", "other", "vocals", "guitar", "piano")
    estimates = {name: noise(500, seed=number) for number, name in enumerate(names)}
    references = {name: estimates[name] for name in names[:4]}
    expected = estimates["other"] + estimates["guitar"] + estimates["piano"]
    np.testing.assert_allclose(matched(estimates, references)["other"][1], expected, atol=1e-6)
    assert without_reference(estimates, references) == ()
    alone = {"guitar": estimates["guitar"], "other": estimates["other"]}
    assert without_reference(alone, references) == ("guitar",)


def test_without_a_mixture_no_stem_counts_twice(tmp_path):
    folder = tmp_path / "data" / "song"
    stems = {name: noise(N, seed=number) / 8 for number, name in enumerate(("vocals", "drums", "bass"))}
    for name, stem in {**stems, "accompaniment": stems["drums"] + stems["bass"]}.items():
        write(folder / f"{name}.wav", stem, RATE, bit_depth="32f")
    (track,) = find_tracks(tmp_path / "data")
    np.testing.assert_allclose(track.read().mixture, sum(stems.values()), atol=1e-6)
    for name in ("drums", "bass"):
        (folder / f"{name}.wav").unlink()
    np.testing.assert_allclose(track.read().mixture, sum(stems.values()), atol=1e-6)


def test_reports_of_any_names(tmp_path):
    """A folder whose name is no UTF-8, and a stem that Matplotlib would take for a formula."""
    scores = Scores(os.fsdecode(b"caf\xe9"), {"$_$": dict.fromkeys(METRICS, 1.0)}, 1.0, 1.0)
    write_csv([scores], tmp_path / "scores.csv")
    assert r"caf\udce9,$_$,SDR,1.00000" in (tmp_path / "scores.csv").read_text()
    write_box_plot([scores], tmp_path / "scores.png")
    assert (tmp_path / "scores.png").stat().st_size > 1000

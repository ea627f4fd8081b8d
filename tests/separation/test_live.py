"""Live separation: a constant delay, the same whatever the blocks, and close to what the whole song gives."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from tests.audio.test_files import read, write
from tests.helpers.signals import error_db, noise, song
from unweave import OptionError, Separator
from unweave.cli.main import app
from unweave.families.base import MaskingModel
from unweave.separation.live import LiveStream


def pushed(stream, mixture, size):
    parts = [stream.push(mixture[:, start : start + size]) for start in range(0, mixture.shape[1], size)]
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in stream.stems}


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("latency", [0.01, 0.03])
def test_the_stems_are_the_mixture_late(toy, step, latency):
    # The toy's window is 256 samples of 44.1 kHz; its stems' masks sum to one in every bin that it sees.
    stream = toy.live(latency_seconds=latency, step_frames=step)
    mixture = noise(20_000)
    stems = pushed(stream, mixture, 500)
    total = sum(stems.values())
    delay = stream.delay_samples
    assert stream.latency_samples <= latency * 44100 + 1e-3
    assert error_db(total[:, delay : delay + 15_000], mixture[:, :15_000]) < -60
    assert not np.abs(total[:, : max(0, delay - 256)]).max(initial=0) > 1e-6


@pytest.mark.parametrize("step", [1, 3])
def test_a_latency_of_whole_frames_is_used_to_the_full(toy, step):
    """The toy's window has 256 samples, its hop 64: what lies above them is look-ahead, up to its 64 frames."""
    for n_ahead in range(40):
        samples = 256 + (step - 1 + n_ahead) * 64
        stream = toy.live(latency_seconds=samples / 44100, step_frames=step)
        assert stream.latency_samples == samples
        assert stream.delay_samples == samples - step * 64
        assert stream.step_seconds == pytest.approx(step * 64 / 44100)
        assert toy.live(latency_seconds=(samples + 63) / 44100, step_frames=step).latency_samples == samples
    assert toy.live(latency_seconds=9.0, step_frames=step).latency_samples == 256 + 63 * 64
    with pytest.raises(OptionError, match=r"at least \d+ ms for .*, got \d+\.?\d* ms"):
        toy.live(latency_seconds=(256 + (step - 1) * 64 - 1) / 44100, step_frames=step)


def test_blocks_do_not_matter(toy):
    mixture = noise(10_000)
    first = pushed(toy.live(latency_seconds=0.02), mixture, 100)
    second = pushed(toy.live(latency_seconds=0.02), mixture, 4096)
    for name in first:
        n = min(first[name].shape[1], second[name].shape[1])
        np.testing.assert_array_equal(first[name][:, :n], second[name][:, :n])


def test_the_official_model_separates_live(separator):
    mixture = song(6.0)
    whole = separator.separate(mixture, 44100)["vocals"]
    stream = separator.live(latency_seconds=0.4, step_frames=4, stems=["vocals"])
    vocals = pushed(stream, np.pad(mixture, [(0, 0), (0, 2 * stream.latency_samples)]), 4096)["vocals"]
    vocals = vocals[:, stream.delay_samples :][:, : mixture.shape[1]]
    # Nearer to what the whole song gives than the mixture is, by far.
    assert error_db(vocals[:, 44100:], whole[:, 44100:]) < error_db(mixture[:, 44100:], whole[:, 44100:]) - 6


@pytest.mark.parametrize("model", ["unweave:4stems", "unweave:5stems"])
def test_our_own_models_separate_live_in_a_short_window(cache, model):
    separator = Separator(model, offline=True)
    assert separator.loaded[0].masking.network.n_frames is None
    stream = separator.live(latency_seconds=0.3, step_frames=8)
    mixture = song(2.0)
    stems = pushed(stream, np.pad(mixture, [(0, 0), (0, 2 * stream.latency_samples)]), 16_384)
    total = sum(stems.values())[:, stream.delay_samples :][:, : mixture.shape[1]]
    assert error_db(total, mixture) < -60


def test_networks_whose_frames_are_fixed_separate_live(toy):
    masking = toy.loaded[0].masking

    class Fixed:
        n_frames = 128

        def estimate(self, mixture):
            assert mixture.shape[1] == 128
            return masking.network.estimate(mixture)

    mixture = noise(20_000)
    stream = LiveStream(MaskingModel(masking.spec, Fixed()), latency_seconds=0.03)
    delay, total = stream.delay_samples, sum(pushed(stream, mixture, 500).values())
    assert error_db(total[:, delay : delay + 15_000], mixture[:, :15_000]) < -60


def test_latencies_that_cannot_be_had(toy):
    with pytest.raises(OptionError, match="at least"):
        toy.live(latency_seconds=0.001)
    assert toy.live(latency_seconds=10).latency_samples < 10 * 44100  # as much as helps
    with pytest.raises(OptionError, match="expected stems"):
        toy.live(stems=["tuba"])


def command(toy_json, *arguments):
    return [sys.executable, "-m", "unweave", "live", "-p", toy_json, "--latency", "20", *arguments]


def test_files_and_pipes(toy_json, tmp_path):
    path = write(tmp_path / "song.wav", noise(30_000))
    out = tmp_path / "out.wav"
    run = subprocess.run(command(toy_json, "-i", path, "-o", out), capture_output=True, text=True, check=True)
    assert "latency" in run.stderr
    assert "too late" in run.stderr
    direct = read(out)
    assert direct.shape == (2, 30_000)
    expected = Separator(str(toy_json)).live(latency_seconds=0.02, step_frames=2, stems=["accompaniment"])
    stems = pushed(expected, np.pad(read(path), [(0, 0), (0, 4000)]), 512)["accompaniment"][:, expected.delay_samples :]
    np.testing.assert_allclose(direct, stems[:, :30_000], atol=1e-4)
    piped = subprocess.run(
        command(toy_json, "-i", "-", "-o", "-"), input=path.read_bytes(), capture_output=True, check=True
    )
    np.testing.assert_array_equal(read(io.BytesIO(piped.stdout)), direct)


def test_a_card_and_a_file_do_not_mix(toy_json, tmp_path):
    path = write(tmp_path / "song.wav", noise(3000))
    run = subprocess.run(command(toy_json, "-i", path), capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "both" in run.stderr


def test_nothing_is_played_twice(toy_json, tmp_path):
    path, target = write(tmp_path / "song.wav", noise(3000)), tmp_path / "out.wav"
    stems = ["--stems", "accompaniment,no_vocals"]
    result = CliRunner().invoke(app, ["live", "-p", str(toy_json), "-i", str(path), "-o", str(target), *stems])
    assert result.exit_code == 2
    assert "must not share any sound, as accompaniment, no_vocals do" in result.output
    assert not target.exists()


@pytest.mark.parametrize("link", ["hard", "symbolic", "same", "stdin"])
def test_it_does_not_overwrite_its_input(toy_json, tmp_path, link):
    path = write(tmp_path / "song.wav", noise(3000))
    before, target = path.read_bytes(), tmp_path / "other.WAV"
    if link == "hard":
        os.link(path, target)
    elif link == "symbolic":
        target.symlink_to(path)
    else:
        target = path
    source = "-" if link == "stdin" else str(path)
    with path.open("rb") as stdin:
        run = subprocess.run(
            command(toy_json, "-i", source, "-o", target), stdin=stdin, capture_output=True, text=True, check=False
        )
    assert run.returncode == 2
    assert "is the input itself" in run.stderr
    assert path.read_bytes() == before


def test_a_missing_input_is_named(toy_json, tmp_path):
    run = subprocess.run(
        command(toy_json, "-i", tmp_path / "missing.mp3", "-o", tmp_path / "out.wav"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 2
    assert f"there is no file {tmp_path / 'missing.mp3'}" in run.stderr

import numpy as np
import pytest

from tests.audio.test_files import read
from tests.cli.test_separate import assert_one_line, unweave
from tests.dsp.test_combining import whole
from tests.helpers.band import write_wav
from tests.helpers.signals import noise
from unweave.errors import OptionError
from unweave.separation.file_ensemble import combine_files
from unweave.separation.output import OutputOptions

FLOAT = OutputOptions("wav", bit_depth="32f")


@pytest.fixture
def files(tmp_path):
    """Three versions of one stem, as 32-bit float."""
    paths = [tmp_path / f"{name}.wav" for name in "abc"]
    for seed, path in enumerate(paths):
        write_wav(path, noise(100_000, seed=seed), 44100)
    return paths


@pytest.mark.parametrize("rule", ["avg_wave", "max_fft", "median_fft"])
def test_the_same_as_of_whole_arrays(files, tmp_path, rule):
    combine_files(files, tmp_path / "out.wav", FLOAT, rule=rule)
    estimates = [noise(100_000, seed=seed) for seed in range(3)]
    np.testing.assert_allclose(read(tmp_path / "out.wav"), whole(estimates, [1, 1, 1], rule), atol=1e-6)


def test_weights_rate_and_format(files, tmp_path):
    combine_files(files, tmp_path / "out.flac", OutputOptions("flac", sample_rate=22050), weights=[2, 1, 1])
    mean = sum(weight * noise(100_000, seed=seed) for seed, weight in enumerate((0.5, 0.25, 0.25)))
    combine_files(files, tmp_path / "out.wav", FLOAT, weights=[2, 1, 1])
    np.testing.assert_allclose(read(tmp_path / "out.wav"), mean, atol=1e-6)
    assert abs(read(tmp_path / "out.flac").shape[1] - 50_000) <= 1


@pytest.mark.parametrize(
    ("waveform", "rate", "message"),
    [
        (noise(99_999), 44100, "other.wav is shorter than .*a.wav: .* must have one length"),
        (noise(100_001), 44100, "a.wav is shorter than .*other.wav"),
        (noise(100_000), 48000, "other.wav is at 48000 Hz, at 44100 Hz is .*a.wav: .* must have one sample rate"),
        (noise(100_000, 1), 44100, "other.wav has 1 channels, 2 has .*a.wav: .* must have one number of channels"),
    ],
)
def test_files_that_do_not_belong_together(files, tmp_path, waveform, rate, message):
    write_wav(tmp_path / "other.wav", waveform, rate)
    before = set(tmp_path.iterdir())
    with pytest.raises(OptionError, match=message):
        combine_files([files[0], tmp_path / "other.wav"], tmp_path / "out.wav", FLOAT)
    assert set(tmp_path.iterdir()) == before


def test_options_that_make_no_sense(files, tmp_path):
    for sources, given, message in (
        (files[:1], {}, "needs several files"),
        (files, {"rule": "loudest"}, "expected a rule among"),
        (files, {"rule": "max_fft", "weights": [1, 2, 3]}, "weights only count for"),
        (files, {"rule": "phase_fix"}, "phase_fix takes two"),
        (files, {"weights": [1, 2]}, "expected 3 weights"),
        (files, {"weights": [1, 2, -1]}, "all above zero"),
    ):
        with pytest.raises(OptionError, match=message):
            combine_files(sources, tmp_path / "out.wav", FLOAT, **given)
    with pytest.raises(OptionError, match="is the input itself"):
        combine_files(files, files[1], FLOAT)
    np.testing.assert_array_equal(read(files[1]), noise(100_000, seed=1))


def test_command(files, tmp_path):
    result = unweave("ensemble", *files, "-o", tmp_path / "out.wav", "--weights", "1,1,2", "--bit_depth", "32f")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(tmp_path / "out.wav")
    expected = sum(weight * noise(100_000, seed=seed) for seed, weight in enumerate((0.25, 0.25, 0.5)))
    np.testing.assert_allclose(read(tmp_path / "out.wav"), expected, atol=1e-6)
    result = unweave("ensemble", files[0], tmp_path / "missing.wav", "-o", tmp_path / "new.wav")
    assert result.returncode == 1
    assert_one_line(result.stderr)
    assert not (tmp_path / "new.wav").exists()


@pytest.mark.parametrize("name", ["out.stem.mp4", "out.vdjstems", "out.rpp"])
def test_a_file_of_several_stems_is_none(files, tmp_path, name):
    result = unweave("ensemble", *files, "-o", tmp_path / name)
    assert result.returncode == 2
    assert_one_line(result.stderr)
    assert "not a single recording" in result.stderr
    with pytest.raises(OptionError, match="not a single recording"):
        combine_files(files, tmp_path / "x", OutputOptions("vdjstems"))


def test_the_channels_that_were_asked_for(files, tmp_path):
    combine_files(files, tmp_path / "out.wav", OutputOptions("wav", bit_depth="32f", n_channels=1), rule="max_fft")
    combine_files(files, tmp_path / "two.wav", FLOAT, rule="max_fft")
    mono = read(tmp_path / "two.wav").mean(axis=0, keepdims=True)
    np.testing.assert_allclose(read(tmp_path / "out.wav"), mono, atol=1e-6)

import io
import threading

import numpy as np
import pytest

from tests.audio.test_files import read, write
from tests.helpers.signals import error_db, noise, song, tones
from unweave import Cancelled, OptionError, OutputOptions, Separator, UnknownModelError
from unweave.dsp.stft import istft, stft
from unweave.errors import AudioReadError, CheckpointError, ModelError

FIGURES = "tests/data/spleeter_figures.npz"


@pytest.fixture(scope="module")
def figures(request):
    with np.load(request.config.rootpath / FIGURES) as file:
        return {key: file[key] for key in file.files}


def assert_agrees(stems, figures, variant, limit_db, rms_tolerance=1e-4):
    for name, stem in stems.items():
        sampled = stem.T[figures["sample_index"]]
        assert error_db(sampled, figures[f"{variant}/{name}"]) < limit_db
        rms = np.sqrt(np.mean(np.square(stem, dtype=np.float64), axis=1))
        np.testing.assert_allclose(rms, figures[f"{variant}/{name}/rms"], rtol=rms_tolerance)


def test_agrees_with_the_original(separator, figures):
    assert_agrees(separator.separate(song(), 44100), figures, "2stems", -95)


def test_agrees_with_the_original_at_16_khz(figures):
    assert_agrees(
        Separator("spleeter:2stems-16kHz", quality="exact").separate(song(), 44100), figures, "2stems-16kHz", -95
    )


def test_agrees_with_the_original_wiener_filter(figures):
    """-65 and -51 dB: norbert itself, in single precision on nearly equal channels, reaches -63 and -49 here."""
    stems = Separator("spleeter:2stems", quality="exact", wiener="track").separate(song(), 44100)
    assert_agrees({"vocals": stems["vocals"]}, figures, "2stems-mwf", -60)
    assert_agrees({"accompaniment": stems["accompaniment"]}, figures, "2stems-mwf", -50, rms_tolerance=1e-3)


def test_stems_sum_to_the_mixture_below_11_khz(separator):
    mixture = song(26.0)
    total = sum(separator.separate(mixture, 44100).values())
    below = istft(stft(mixture)[..., : separator.spec.n_bins], mixture.shape[1])
    assert error_db(total, below) < -110


@pytest.mark.parametrize("sample_rate", [44100, 22050, 96000])
def test_a_stem_alone_is_the_same_stem(toy, sample_rate):
    """What is lost on the way to the model's rate and back belongs to the accompaniment, alone as among others."""
    mixture = noise(8000)
    np.testing.assert_allclose(
        toy.separate(mixture, sample_rate, stems=["accompaniment"])["accompaniment"],
        toy.separate(mixture, sample_rate)["accompaniment"],
        atol=1e-6,  # the rounding that makes all stems sum to the mixture
    )


@pytest.mark.parametrize(("sample_rate", "n_channels"), [(44100, 2), (48000, 2), (8000, 1), (96000, 6)])
def test_length_rate_and_channels_are_the_inputs(toy, sample_rate, n_channels):
    stems = toy.separate(noise(12_345, n_channels), sample_rate)
    assert stems.sample_rate == sample_rate
    assert list(stems) == ["vocals", "accompaniment"]
    for stem in stems.values():
        assert stem.shape == (min(2, n_channels), 12_345)
        assert stem.dtype == np.float32


@pytest.mark.parametrize("wiener", [None, "segment", "track"])
def test_a_single_sample_is_a_song(toy_json, wiener):
    """Of this one nothing is left at 44.1 kHz."""
    stems = Separator(str(toy_json), wiener=wiener, threads=1).separate(np.full((2, 1), 0.5, np.float32), 192_000)
    np.testing.assert_allclose(sum(stems.values()), 0.5)


def test_the_input_is_not_changed(toy):
    mixture = noise(5000)
    mixture[0, 7] = np.nan
    before = mixture.copy()
    toy.separate(mixture, 44100)
    np.testing.assert_array_equal(mixture, before)


@pytest.mark.parametrize("wiener", [None, "track", "segment"])
def test_a_file_an_object_and_an_array_give_the_same(toy_json, tmp_path, wiener):
    separator = Separator(str(toy_json), wiener=wiener)
    path = write(tmp_path / "x.wav", tones(30_000), bit_depth="32f")
    of_file = separator.separate(path)
    of_object = separator.separate(io.BytesIO(path.read_bytes()))
    of_array = separator.separate(tones(30_000), 44100)
    for name in separator.stems:
        np.testing.assert_array_equal(of_file[name], of_array[name])
        np.testing.assert_array_equal(of_object[name], of_array[name])


def test_several_threads_share_a_separator(toy):
    mixtures = [noise(20_000, seed=seed) for seed in range(6)]
    alone = [toy.separate(mixture, 44100)["vocals"] for mixture in mixtures]
    together = [None] * 6

    def run(index):
        together[index] = toy.separate(mixtures[index], 44100)["vocals"]

    threads = [threading.Thread(target=run, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("wiener", [None, "track"])
def test_progress_grows_to_the_end(toy_json, wiener):
    seen = []
    Separator(str(toy_json), wiener=wiener).separate(noise(100_000), 44100, on_progress=seen.append)
    done = [progress.done_seconds for progress in seen]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(100_000 / 44100, rel=0.05)
    assert seen[0].total_seconds == pytest.approx(100_000 / 44100)


def test_cancel(toy, tmp_path):
    path = write(tmp_path / "x.wav", noise(500_000))
    with pytest.raises(Cancelled):
        toy.separate_file(path, tmp_path / "out", on_progress=lambda progress: progress.done_seconds < 2)
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == []


def test_files_are_written(toy, tmp_path):
    path = write(tmp_path / "my song.flac", noise(30_000), 48000)
    paths = toy.separate_file(path, tmp_path / "out")
    assert paths == {name: tmp_path / "out" / "my song" / f"{name}.wav" for name in toy.stems}
    for name, stem in paths.items():
        np.testing.assert_allclose(read(stem), toy.separate(path)[name], atol=2e-5)


@pytest.mark.parametrize("codec", ["wav", "flac", "mp3", "ogg", "opus", "m4a", "wma"])
def test_every_codec(toy, tmp_path, codec):
    path = write(tmp_path / "x.wav", tones(50_000))
    paths = toy.separate_file(path, tmp_path / "out", OutputOptions(codec=codec))
    for stem in paths.values():
        rate = 48000 if codec == "opus" else 44100
        expected = -(-50_000 * rate // 44100)
        length = read(stem).shape[1]
        assert length == expected or (codec == "wma" and 0 <= length - expected < 4096)


def test_forced_sample_rate(toy, tmp_path):
    path = write(tmp_path / "x.wav", tones(44_100))
    paths = toy.separate_file(path, tmp_path / "out", OutputOptions(sample_rate=16000))
    assert read(paths["vocals"]).shape == (2, 16_000)


def test_rescale_keeps_the_proportions(toy, tmp_path):
    path = write(tmp_path / "x.wav", noise(30_000, level=3), bit_depth="32f")
    exact = toy.separate(path)
    paths = toy.separate_file(path, tmp_path / "out", OutputOptions(clip="rescale"))
    peak = max(np.abs(stem).max() for stem in exact.values())
    assert peak > 1
    for name, stem in paths.items():
        np.testing.assert_allclose(read(stem) * peak, exact[name], atol=1e-3)
    assert sorted(p.name for p in (tmp_path / "out" / "x").iterdir()) == ["accompaniment.wav", "vocals.wav"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"mixture": np.zeros((2, 100), np.float32)},
        {"mixture": np.zeros(100, np.float32), "sample_rate": 44100},
        {"mixture": np.zeros((1000, 2), np.float32), "sample_rate": 44100},
        {"mixture": np.zeros((2, 100), np.int16), "sample_rate": 44100},
        {"mixture": np.zeros((2, 100), np.float32), "sample_rate": 44100, "stems": ["guitar"]},
        {"mixture": np.zeros((2, 100), np.float32), "sample_rate": 44100, "stems": []},
    ],
)
def test_unusable_arguments(toy, arguments):
    with pytest.raises(OptionError, match=r"expected|needs"):
        toy.separate(**arguments)


def test_an_empty_array(toy):
    with pytest.raises(AudioReadError, match="no audio samples"):
        toy.separate(np.zeros((2, 0), np.float32), 44100)


def test_unknown_model():
    with pytest.raises(UnknownModelError, match="spleeter:2stems"):
        Separator("spleeter:9stems")


def test_no_model_without_weights(toy_json):
    for path in (toy_json.parent / "weights").iterdir():
        path.unlink()
    with pytest.raises(ModelError, match="contains no checkpoint"):
        Separator(str(toy_json))


def test_no_model_with_damaged_weights(toy_json):
    data = toy_json.parent / "weights" / "model.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match="truncated"):
        Separator(str(toy_json))

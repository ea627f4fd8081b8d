"""What callers hand in is checked in one way at every entrance: `separate`, `stream` and `live`."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.audio.test_files import write
from tests.helpers.signals import noise, tones
from unweave import AudioReadError, OptionError, Separator
from unweave.audio.arguments import checked_number
from unweave.separation.batch_options import BatchOptions
from unweave.separation.journal import settings_key, settings_of
from unweave.separation.output import OutputOptions


@pytest.fixture(params=["separate", "push", "live"])
def entrance(request, toy):
    """A function that takes samples (2, n) in one of the three ways and gives the stems."""

    def push(samples):
        stream = toy.stream(44100)
        first = stream.push(samples)
        last = stream.flush()
        return {name: np.concatenate([first[name], last[name]], axis=1) for name in last}

    def live(samples):
        return dict(toy.live(latency_seconds=0.02).push(samples))

    return {"separate": lambda samples: dict(toy.separate(samples, 44100)), "push": push, "live": live}[request.param]


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.longdouble, ">f4"])
def test_any_float_type_will_do(entrance, dtype):
    samples = tones(9000).astype(np.float16)
    expected = entrance(samples.astype(np.float32))
    for name, stem in entrance(samples.astype(dtype)).items():
        assert stem.dtype == np.float32
        np.testing.assert_array_equal(stem, expected[name])


def test_what_numpy_can_read_will_do(entrance):
    samples = tones(2000)
    expected = entrance(samples)
    for given in (samples.tolist(), torch.from_numpy(samples), np.asfortranarray(samples), samples[:, ::-1][:, ::-1]):
        for name, stem in entrance(given).items():
            np.testing.assert_allclose(stem, expected[name], atol=1e-7)


@pytest.mark.parametrize(
    "given",
    [
        (1000 * tones(500)).astype(np.int16),
        torch.zeros(2, 500, dtype=torch.int16),
        [[0, 1, 2], [3, 4, 5]],
        np.zeros((2, 500), bool),
        np.zeros((2, 500), complex),
        np.zeros(500, np.float32),
        np.zeros((500, 2), np.float32),
        np.zeros((2, 2, 500), np.float32),
        [["a", "b"], ["c", "d"]],
        [[0.0, 1.0], [0.0]],
        None,
        3.5,
    ],
    ids=lambda given: type(given).__name__,
)
def test_anything_else_is_refused_in_one_line(entrance, given):
    with pytest.raises(OptionError, match="expected") as caught:
        entrance(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_a_sample_that_is_not_finite_is_silent_and_harms_no_other(entrance, value, caplog):
    samples = tones(9000).astype(np.float64)
    samples[0, 4000] = 0
    expected = entrance(samples)
    samples[0, 4000] = value
    for name, stem in entrance(samples).items():
        np.testing.assert_array_equal(stem, expected[name])
    assert "not finite" in caplog.text


def test_samples_too_large_to_compute_with_are_refused(entrance):
    samples = tones(9000)
    samples[1, 4000] = -1e20
    with pytest.raises(OptionError, match=r"samples from -1 to 1, got some of 1e\+20"):
        entrance(samples)


def test_samples_on_the_scale_of_24_bits_are_not(entrance):
    for name, stem in entrance(tones(9000) * np.float32(2**23)).items():
        assert np.isfinite(stem).all(), name


def test_the_callers_arrays_are_neither_kept_nor_changed(toy):
    mixture = noise(40_000)
    mixture[1, 30_000] = np.nan
    before = mixture.copy()
    expected = toy.separate(mixture, 44100)
    np.testing.assert_array_equal(mixture, before)
    stream, live, buffer, parts, heard = toy.stream(44100), toy.live(), np.empty((2, 5000), np.float32), [], []
    for start in range(0, 40_000, 5000):
        buffer[:] = mixture[:, start : start + 5000]
        parts.append(stream.push(buffer))
        heard.append(live.push(buffer))
        np.testing.assert_array_equal(buffer, mixture[:, start : start + 5000])
        buffer[:] = 0.5  # the caller uses its buffer again
    parts.append(stream.flush())
    whole = toy.live()
    expected_live = whole.push(mixture)
    for name in toy.stems:
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts], axis=1), expected[name])
        np.testing.assert_array_equal(np.concatenate([part[name] for part in heard], axis=1), expected_live[name])


def test_stems_that_came_back_do_not_change_later(toy):
    mixture = noise(60_000)
    stream = toy.stream(44100)
    first = stream.push(mixture[:, :30_000])
    kept = {name: stem.copy() for name, stem in first.items()}
    for stem in first.values():
        stem *= 3  # they are the caller's
    second = stream.push(mixture[:, 30_000:])
    last = stream.flush()
    expected = toy.separate(mixture, 44100)
    for name, stem in expected.items():
        np.testing.assert_array_equal(np.concatenate([kept[name], second[name], last[name]], axis=1), stem)


@pytest.mark.parametrize("rate", [44100.0, np.float64(44100), np.int32(44100), np.float32(44100)])
def test_rates_of_any_type_of_number(toy, rate):
    expected = toy.separate(tones(3000), 44100)
    np.testing.assert_array_equal(toy.separate(tones(3000), rate)["vocals"], expected["vocals"])
    stream = toy.stream(rate, np.float64(2))
    parts = [stream.push(tones(3000)), stream.flush()]
    np.testing.assert_array_equal(np.concatenate([part["vocals"] for part in parts], axis=1), expected["vocals"])


@pytest.mark.parametrize("rate", ["44100", 0, -1, np.nan, np.inf, 44100.5, True, 1e9, 1, [44100], 1 + 1j, b"x"])
def test_rates_that_are_none(toy, rate):
    for call in (
        lambda: toy.separate(tones(100), rate),
        lambda: toy.stream(rate),
        lambda: toy.stream(44100, output_rate=rate),
    ):
        with pytest.raises(OptionError, match="rate"):
            call()


@pytest.mark.parametrize("n_channels", [0, -1, 9, 1.5, np.nan, "2", None])
def test_channels_that_are_none(toy, n_channels):
    with pytest.raises(OptionError, match="n_channels"):
        toy.stream(44100, n_channels)


def test_arrays_of_other_libraries_are_told_how_to_fit(toy):
    """What soundfile reads has its samples first, what wave and scipy read is integers."""
    with pytest.raises(OptionError, match=r"got \(500, 2\), which is \(samples, channels\): transpose it"):
        toy.separate(np.zeros((500, 2), np.float32), 44100)
    with pytest.raises(OptionError, match="floats from -1 to 1, got int16; divide it by 32768"):
        toy.separate(np.zeros((2, 500), np.int16), 44100)


def test_more_channels_than_anybody_has(toy):
    with pytest.raises(OptionError, match="1 to 8 channels"):
        toy.separate(np.zeros((9, 1000), np.float32), 44100)


def test_a_file_has_its_own_rate(toy):
    with pytest.raises(OptionError, match="a file has its own"):
        toy.separate("song.wav", 44100)


def test_one_stem_by_its_bare_name(toy):
    assert list(toy.separate(tones(1000), 44100, stems="vocals")) == ["vocals"]
    assert list(toy.separate(tones(1000), 44100, stems=["vocals", "vocals"])) == ["vocals"]
    with pytest.raises(OptionError, match="kazoo"):
        toy.separate(tones(1000), 44100, stems="kazoo")


def test_no_samples(toy):
    with pytest.raises(AudioReadError, match="no audio samples"):
        toy.separate(np.zeros((2, 0)), 44100)
    stream = toy.stream(44100)
    assert stream.push(np.zeros((2, 0))).n_samples == 0
    assert stream.flush().n_samples == 0


def test_whole_numbers():
    assert checked_number(2.0, "shifts", 1, 100) == 2
    for wrong in (0, 101, 2.5, None, "2", False):
        with pytest.raises(OptionError, match="shifts to be a whole number from 1 to 100"):
            checked_number(wrong, "shifts", 1, 100)


@pytest.mark.parametrize("model", [None, 5, b"spleeter:2stems", ["spleeter:2stems"]])
def test_a_model_that_is_no_name(model):
    with pytest.raises(OptionError, match="expected the name or the path of a model"):
        Separator(model)


@pytest.mark.parametrize("stems", [5, [["vocals"]], [{}], True])
def test_stems_that_are_no_names(toy, stems):
    with pytest.raises(OptionError, match="expected stems of"):
        toy.separate(tones(1000), 44100, stems=stems)


@pytest.mark.parametrize("number", [None, "1", [1], True, 1j, -0.5, float("nan"), float("inf"), 1e10])
def test_offsets_that_are_no_seconds(toy, tmp_path, number):
    path = write(tmp_path / "song.wav", tones(5000))
    with pytest.raises(OptionError, match="expected an offset"):
        BatchOptions(offset_seconds=number)
    with pytest.raises(OptionError, match="expected an offset"):
        toy.separate_file(path, tmp_path / "out", offset_seconds=number)
    if number is not None:
        with pytest.raises(OptionError, match="expected a duration"):
            BatchOptions(duration_seconds=number)
        with pytest.raises(OptionError, match="expected a duration"):
            toy.separate_file(path, tmp_path / "out", duration_seconds=number)
        with pytest.raises(OptionError, match="number of an audio track"):
            BatchOptions(track="0")
    assert not (tmp_path / "out").exists()


def test_numbers_of_any_type_are_the_same_settings():
    plain = BatchOptions(OutputOptions(bitrate="320k"), offset_seconds=1.0, duration_seconds=2.0, track=0, jobs=2)
    for kind in (np.float32, np.float64, np.int16, int):
        output = OutputOptions(bitrate=kind(320))
        other = BatchOptions(output, offset_seconds=kind(1), duration_seconds=kind(2), track=kind(0), jobs=kind(2))
        assert settings_key(settings_of(other)) == settings_key(settings_of(plain))


@pytest.mark.parametrize("source", [None, 5, b"song.wav", io.BytesIO(b"RIFF")])
def test_files_and_folders_that_are_no_paths(toy, tmp_path, source):
    with pytest.raises(OptionError, match="expected the path of an audio file"):
        toy.separate_file(source, tmp_path)
    with pytest.raises(OptionError, match="expected the path of an output folder"):
        toy.separate_file(write(tmp_path / "song.wav", tones(1000)), source)
    with pytest.raises(OptionError, match="expected OutputOptions"):
        toy.separate_file(tmp_path / "song.wav", tmp_path, "wav")


def test_a_file_opened_as_text_is_named(toy, tmp_path):
    path = write(tmp_path / "song.wav", tones(1000))
    with path.open(encoding="latin-1") as file, pytest.raises(AudioReadError, match="opened as text"):
        toy.separate(file)


@pytest.mark.parametrize(
    "options",
    [
        {"filename_format": None},
        {"filename_format": 5},
        {"filename_format": "{filename.foo}"},
        {"filename_format": "../{instrument}.wav"},
        {"filename_format": "/tmp/{instrument}.wav"},
        {"bitrate": "9" * 5000},
        {"bitrate": None},
        {"codec": "stem.mp4", "clip": "rescale"},
    ],
)
def test_outputs_that_no_song_can_have_are_refused_at_once(options):
    with pytest.raises(OptionError) as caught:
        OutputOptions(**options)
    assert len(str(caught.value)) < 300


def test_a_template_may_be_a_path():
    assert OutputOptions(filename_format=Path("{instrument}.{codec}")).filename_format == "{instrument}.{codec}"

"""What the original's own test of its separator states, in our words, on the official weights and on stand-ins."""

import numpy as np
import pytest

from tests.audio.test_files import read, write
from tests.helpers.signals import error_db, song, tones
from tests.helpers.toys import TOY, TOY_FIVE, TOY_FOUR, write_toy
from unweave.compat.spleeter import SpleeterError
from unweave.compat.spleeter.audio import Codec
from unweave.compat.spleeter.audio.adapter import AudioAdapter
from unweave.compat.spleeter.separator import Separator

STAND_INS = {2: TOY, 4: TOY_FOUR, 5: TOY_FIVE}


@pytest.fixture(params=["2stems", 2, 4, 5])
def separator(request, tmp_path, monkeypatch):
    """The official two stems, and checkpoints of the official layouts with random weights."""
    if request.param == "2stems":
        return Separator("spleeter:2stems", multiprocess=False)
    monkeypatch.setenv("UNWEAVE_CACHE", str(tmp_path / "cache"))
    return Separator(str(write_toy(tmp_path, STAND_INS[request.param])), multiprocess=False)


@pytest.fixture(params=[1, 2], ids=["mono", "stereo"])
def audio(request, tmp_path):
    return write(tmp_path / "audio.example.mp3", song(3.0)[: request.param])


def test_separate(separator, audio):
    waveform, rate = AudioAdapter.default().load(audio, sample_rate=44100)
    assert rate == 44100
    before = waveform.copy()
    prediction = separator.separate(waveform, str(audio))
    assert tuple(prediction) == separator._separator.stems
    for name, track in prediction.items():
        assert track.shape == (len(waveform), 2)
        assert track.dtype == np.float32
        assert not np.allclose(waveform, track)
        for other, compared in prediction.items():
            assert name == other or not np.allclose(track, compared)
    np.testing.assert_array_equal(waveform, before)


def test_separate_to_file(separator, audio, tmp_path):
    separator.separate_to_file(audio, tmp_path / "out")
    for name in separator._separator.stems:
        assert read(tmp_path / "out" / "audio.example" / f"{name}.wav").shape == (2, 132_300)


def test_filename_format(separator, audio, tmp_path):
    separator.separate_to_file(audio, tmp_path / "out", filename_format="export/{filename}/{instrument}.{codec}")
    for name in separator._separator.stems:
        assert (tmp_path / "out" / "export" / "audio.example" / f"{name}.wav").is_file()


def test_filename_conflict(separator, audio, tmp_path):
    with pytest.raises(SpleeterError, match="one path"):
        separator.separate_to_file(audio, tmp_path / "out", filename_format="I wanna be your lover")
    with pytest.raises(SpleeterError, match="one path"):
        separator.save_to_file({"a": np.zeros((9, 2)), "b": np.zeros((9, 2))}, "x.wav", tmp_path, "{filename}.wav")


@pytest.fixture
def toy_separator(toy_json):
    return Separator(str(toy_json))


def test_in_the_background(toy_separator, audio, tmp_path):
    for number in range(3):
        toy_separator.separate_to_file(audio, tmp_path / f"out{number}", synchronous=False)
    toy_separator.join()
    assert len(list(tmp_path.glob("out*/audio.example/*.wav"))) == 6


def test_what_fails_in_the_background_is_raised_at_join(toy_separator, tmp_path):
    toy_separator.separate_to_file(tmp_path / "missing.wav", tmp_path, synchronous=False)
    with pytest.raises(SpleeterError, match="no such file"):
        toy_separator.join()


def test_save_to_file(toy_separator, audio, tmp_path):
    waveform, _ = AudioAdapter.default().load(audio, sample_rate=44100)
    sources = toy_separator.separate(waveform)
    toy_separator.save_to_file(sources, audio, tmp_path / "out", codec=Codec.FLAC)
    assert error_db(read(tmp_path / "out/audio.example/vocals.flac"), sources["vocals"].T) < -40


def test_another_adapter_is_used(toy_separator, tmp_path):
    class Silent(AudioAdapter):
        def load(self, audio_descriptor, offset=None, duration=None, sample_rate=None, dtype=np.float32):
            return np.zeros((1000, 2), np.float32), sample_rate

        def save(self, path, data, sample_rate, codec=None, bitrate=None):
            path.write_text(f"{len(data)} samples at {sample_rate}")

    toy_separator.separate_to_file("nothing.wav", tmp_path, Silent())
    assert (tmp_path / "nothing/vocals.wav").read_text() == "1000 samples at 44100"


def test_other_rates_come_out_at_44100(toy_separator, tmp_path):
    path = write(tmp_path / "x.wav", tones(48_000, 48_000), 48_000)
    toy_separator.separate_to_file(path, tmp_path / "out")
    assert read(tmp_path / "out/x/vocals.wav").shape == (2, 44_100)


def test_no_model_no_stems(toy_json):
    for path in (toy_json.parent / "weights").iterdir():
        path.unlink()
    with pytest.raises(SpleeterError, match="no checkpoint"):
        Separator(str(toy_json))


def test_waveforms_of_another_shape(toy_separator):
    with pytest.raises(SpleeterError, match="shape"):
        toy_separator.separate(np.zeros(100, np.float32))

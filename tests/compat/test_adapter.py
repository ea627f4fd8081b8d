"""What the original's test of its FFmpeg adapter states, in our words."""

import av
import numpy as np
import pytest

from tests.audio.test_files import write
from tests.helpers.signals import tones
from unweave import OptionError
from unweave.compat.spleeter import SpleeterError
from unweave.compat.spleeter.audio import Codec
from unweave.compat.spleeter.audio.adapter import AudioAdapter, get_audio_adapter, get_default_audio_adapter
from unweave.compat.spleeter.audio.ffmpeg import FFMPEGProcessAudioAdapter
from unweave.compat.spleeter.model.provider import ModelProvider


@pytest.fixture
def adapter():
    return AudioAdapter.default()


def test_the_default(adapter):
    assert isinstance(adapter, FFMPEGProcessAudioAdapter)
    assert adapter is AudioAdapter.default()


def test_by_descriptor():
    original = AudioAdapter.get("spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter")
    assert isinstance(original, FFMPEGProcessAudioAdapter)
    with pytest.raises(SpleeterError, match="cannot load the audio adapter"):
        AudioAdapter.get("no.such.Adapter")


def test_by_the_names_of_versions_before_2_1(adapter):
    assert get_default_audio_adapter() is get_audio_adapter(None) is AudioAdapter.get("") is adapter
    assert isinstance(get_audio_adapter("spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter"), FFMPEGProcessAudioAdapter)


def test_load(adapter, tmp_path):
    path = write(tmp_path / "x.mp3", tones(132_317))
    waveform, rate = adapter.load(path, 0, 600.0, 44100)
    assert rate == 44100
    assert waveform.dtype == np.float32
    assert waveform.shape == (132_317, 2)
    part, _ = adapter.load(path, 1.0, 0.5, 22050)
    assert part.shape == (11_025, 2)


def test_load_error(adapter):
    with pytest.raises(SpleeterError, match="no such file"):
        adapter.load("Paris City Jazz", 0, 600.0, 44100)


@pytest.mark.parametrize("codec", list(Codec))
def test_save(adapter, tmp_path, codec):
    path = tmp_path / f"saved.{codec.value}"
    adapter.save(path, tones(132_300).T, 44100, codec, "128k")
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert stream.type == "audio"
        assert stream.codec_context.layout.nb_channels == 2
        assert stream.codec_context.sample_rate == 44100
        # The header of a WMA counts two frames that readers leave out.
        tolerance = 0.15 if codec is Codec.WMA else 0.1
        assert float(container.duration) / av.time_base == pytest.approx(3.0, abs=tolerance)


def test_save_writes_one_recording(adapter, tmp_path):
    for codec in ("dawproject", "rpp", "stem.mp4"):
        with pytest.raises(OptionError, match="not a single recording"):
            adapter.save(tmp_path / "x", tones(100).T, 44100, codec)
    assert list(tmp_path.iterdir()) == []


def test_save_that_fails_says_so(adapter, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SpleeterError, match="cannot write"):
        adapter.save(tmp_path / "file" / "x.wav", tones(100).T, 44100)


@pytest.mark.parametrize("rate", [22050, 22050.0, np.float64(22050), np.int32(22050)])
def test_rates_of_many_kinds(adapter, tmp_path, rate):
    path = tmp_path / "x.wav"
    adapter.save(path, tones(22_050).T, rate)
    waveform, loaded_rate = adapter.load(path, sample_rate=rate)
    assert loaded_rate == 22050
    assert waveform.shape == (22_050, 2)


@pytest.mark.parametrize("rate", [0, -1, 44100.5, float("nan"), float("inf"), "44100", True, 10**9])
def test_rates_that_make_no_sense(adapter, tmp_path, rate):
    path = write(tmp_path / "x.wav", tones(100))
    with pytest.raises(SpleeterError, match="sample rate"):
        adapter.load(path, sample_rate=rate)
    with pytest.raises(SpleeterError, match="sample rate"):
        adapter.save(tmp_path / "y.wav", tones(100).T, rate)
    assert not (tmp_path / "y.wav").exists()


@pytest.mark.parametrize(
    "part", [{"offset": float("nan")}, {"offset": -1}, {"duration": float("nan")}, {"duration": 0}]
)
def test_parts_that_make_no_sense(adapter, tmp_path, part):
    path = write(tmp_path / "x.wav", tones(100))
    with pytest.raises(SpleeterError, match=next(iter(part))):
        adapter.load(path, **part)


def test_samples_are_loaded_as_floats_of_any_kind_but_not_as_integers(adapter, tmp_path):
    path = write(tmp_path / "x.wav", tones(100))
    assert adapter.load(path, dtype=np.float64)[0].dtype == np.float64
    assert adapter.load(path, dtype="float16")[0].dtype == np.float16
    for dtype in (np.int16, "no type", bool):
        with pytest.raises(SpleeterError, match="floating-point type"):
            adapter.load(path, dtype=dtype)


@pytest.mark.parametrize("data", [np.zeros((2, 500)), np.zeros((500, 3)), np.zeros((500, 2), np.int16), np.zeros(500)])
def test_save_refuses_what_is_no_signal(adapter, tmp_path, data):
    with pytest.raises(SpleeterError, match="expected a signal"):
        adapter.save(tmp_path / "x.wav", data, 44100)
    assert not (tmp_path / "x.wav").exists()


def test_an_adapter_that_fails_while_it_is_imported(tmp_path, monkeypatch):
    (tmp_path / "broken_adapter.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SpleeterError, match="division by zero"):
        AudioAdapter.get("broken_adapter.Adapter")


def test_model_provider(tmp_path):
    with pytest.raises(SpleeterError, match="no checkpoint"):
        ModelProvider.default().get(str(tmp_path))

"""What the original's test of its FFmpeg adapter states, in our words."""

import av
import numpy as np
import pytest

from tests.audio.test_files import write
from tests.helpers.signals import tones
from unweave.compat.spleeter import SpleeterError
from unweave.compat.spleeter.audio import Codec
from unweave.compat.spleeter.audio.adapter import AudioAdapter
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
        assert float(container.duration) / av.time_base == pytest.approx(3.0, abs=0.1)


def test_save_that_fails_says_so(adapter, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SpleeterError, match="cannot write"):
        adapter.save(tmp_path / "file" / "x.wav", tones(100).T, 44100)


def test_model_provider(tmp_path):
    with pytest.raises(SpleeterError, match="no checkpoint"):
        ModelProvider.default().get(str(tmp_path))

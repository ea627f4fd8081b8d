"""What the original's own test of its separator states, in our words, on the official weights and on stand-ins."""

import gc
import inspect
import os
import signal
import threading
import time
import warnings
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from tests.audio.test_files import read, write
from tests.helpers.signals import error_db, song, tones
from tests.helpers.toys import TOY, TOY_FIVE, TOY_FOUR, write_toy
from unweave.compat.spleeter import SpleeterError
from unweave.compat.spleeter.audio import Codec, STFTBackend
from unweave.compat.spleeter.audio.adapter import AudioAdapter, LibraryAudioAdapter
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
    with pytest.raises(SpleeterError, match="the same path"):
        separator.separate_to_file(audio, tmp_path / "out", filename_format="I wanna be your lover")
    with pytest.raises(SpleeterError, match="the same path"):
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


@pytest.mark.parametrize("is_joined", [False, True])
def test_what_nobody_waited_for_is_told(toy_json, tmp_path, caplog, is_joined):
    """As where a program ends without `join`: it left no files behind, and not a word."""
    separator = Separator(str(toy_json))
    separator.separate_to_file(tmp_path / "missing.wav", tmp_path, synchronous=False)
    (task,) = separator._tasks
    assert task.exception(60) is not None
    if is_joined:
        with pytest.raises(SpleeterError):
            separator.join()
    del separator, task
    gc.collect()
    assert ("missing.wav" in caplog.text) is not is_joined


def test_save_to_file(toy_separator, audio, tmp_path):
    waveform, _ = AudioAdapter.default().load(audio, sample_rate=44100)
    sources = toy_separator.separate(waveform)
    toy_separator.save_to_file(sources, audio, tmp_path / "out", codec=Codec.FLAC)
    assert error_db(read(tmp_path / "out/audio.example/vocals.flac"), sources["vocals"].T) < -40


class Silent(AudioAdapter):
    """Brings its own way to load and to save."""

    def load(self, audio_descriptor, offset=None, duration=None, sample_rate=None, dtype=np.float32):
        return np.zeros((1000, 2), np.float32), sample_rate

    def save(self, path, data, sample_rate, codec=None, bitrate=None):
        Path(path).write_text(f"{len(data)} samples at {sample_rate}, {codec} {bitrate}")


def test_another_adapter_is_used(toy_separator, tmp_path):
    toy_separator.separate_to_file("nothing.wav", tmp_path, Silent())
    assert (tmp_path / "nothing/vocals.wav").read_text() == f"1000 samples at 44100, {Codec.WAV} 128k"


def test_an_adapter_gets_paths_as_text(toy_separator, tmp_path):
    """As from the original: many a library, such as `wave`, takes nothing else."""

    class Plain(Silent):
        def save(self, path, data, sample_rate, codec=None, bitrate=None):
            assert type(path) is str
            with wave.open(path, "wb") as file:
                file.setparams((2, 2, sample_rate, len(data), "NONE", ""))
                file.writeframes((data * 32767).astype("<i2").tobytes())

    toy_separator.separate_to_file("nothing.wav", tmp_path, Plain())
    assert read(tmp_path / "nothing/vocals.wav").shape == (2, 1000)


@pytest.mark.parametrize("synchronous", [True, False])
def test_an_adapter_that_only_saves_is_called(toy_separator, audio, tmp_path, synchronous):
    class Saver(LibraryAudioAdapter):
        save = Silent.save

    toy_separator.separate_to_file(audio, tmp_path / "out", Saver(), synchronous=synchronous)
    toy_separator.join()
    assert (tmp_path / "out/audio.example/vocals.wav").read_text().startswith("132300 samples at 44100")


def test_an_adapter_that_only_loads_is_called(toy_separator, tmp_path):
    class Loader(LibraryAudioAdapter):
        load = Silent.load

    toy_separator.separate_to_file("nothing.wav", tmp_path, Loader())
    assert read(tmp_path / "nothing/vocals.wav").shape == (2, 1000)


def test_methods_put_in_place_later_are_called(toy_separator, audio, tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(LibraryAudioAdapter, "save", lambda self, path, *arguments: saved.append(Path(path).name))
    toy_separator.separate_to_file(audio, tmp_path / "out")
    assert saved == ["vocals.wav", "accompaniment.wav"]
    adapter = Silent()
    adapter.save = lambda path, *arguments: saved.append("of the instance")
    toy_separator.separate_to_file("nothing.wav", tmp_path, adapter)
    assert saved[2:] == ["of the instance"] * 2


def test_an_adapter_that_loads_at_another_rate_is_refused(toy_separator, tmp_path):
    class Slow(Silent):
        def load(self, *arguments, **options):
            return np.zeros((1000, 2), np.float32), 22050

    with pytest.raises(SpleeterError, match=r"44100 Hz.* at 22050"):
        toy_separator.separate_to_file("nothing.wav", tmp_path, Slow())


def test_wrong_paths_are_refused_before_an_adapter_loads(toy_separator, tmp_path):
    class Never(Silent):
        def load(self, *arguments, **options):
            raise AssertionError

    with pytest.raises(SpleeterError, match="the same path"):
        toy_separator.separate_to_file("nothing.wav", tmp_path, Never(), filename_format="{filename}.wav")


@pytest.fixture
def gate(toy_separator, monkeypatch):
    """Separation under ``toy_separator`` waits until this event is set."""
    event, separate_file = threading.Event(), toy_separator._separator.separate_file

    def gated(*arguments, **options):
        assert event.wait(60)
        return separate_file(*arguments, **options)

    monkeypatch.setattr(toy_separator._separator, "separate_file", gated)
    yield event
    event.set()


def test_join_waits_without_limit_unless_told_otherwise(toy_separator, monkeypatch):
    """Not for so many seconds as no test would wait: what it asks of the work is to be done, whenever that is."""
    asked = []

    class Task:
        def exception(self, timeout):
            asked.append(timeout)

    toy_separator._tasks[Task()] = None
    toy_separator.join()
    assert asked == [None]
    assert inspect.signature(Separator.join).parameters["timeout"].default is None


def test_work_that_times_out_can_be_joined_again(toy_separator, gate, audio, tmp_path):
    for number in range(2):
        toy_separator.separate_to_file(audio, tmp_path / f"out{number}", synchronous=False)
    for _ in range(2):
        with pytest.raises(SpleeterError, match="2 separations are not done") as caught:
            toy_separator.join(0.05)
        assert isinstance(caught.value, TimeoutError)
    gate.set()
    toy_separator.join(60)
    assert len(list(tmp_path.glob("out*/audio.example/*.wav"))) == 4


def test_one_failure_does_not_hide_the_rest(toy_separator, audio, tmp_path, caplog):
    toy_separator.separate_to_file(tmp_path / "first.wav", tmp_path, synchronous=False)
    toy_separator.separate_to_file(tmp_path / "second.wav", tmp_path, synchronous=False)
    toy_separator.separate_to_file(audio, tmp_path / "out", synchronous=False)
    with pytest.raises(SpleeterError, match=r"first\.wav"):
        toy_separator.join()
    assert "second.wav" in caplog.text
    assert (tmp_path / "out/audio.example/vocals.wav").is_file()
    toy_separator.join()


def test_what_failed_before_is_raised_when_the_next_is_done(toy_separator, audio, tmp_path):
    toy_separator.separate_to_file(tmp_path / "missing.wav", tmp_path, synchronous=False)
    with pytest.raises(SpleeterError, match=r"missing\.wav"):
        toy_separator.separate_to_file(audio, tmp_path / "out")
    assert (tmp_path / "out/audio.example/vocals.wav").is_file()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_child_has_workers_of_its_own(toy_separator, gate, audio, tmp_path):
    toy_separator.separate_to_file(audio, tmp_path / "parent", synchronous=False)  # the parent's thread is waiting
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks in a process with threads: that is the point
        child = os.fork()
    if child == 0:
        status = 1
        try:
            gate.set()
            toy_separator.join(0)  # the parent's work is not the child's
            toy_separator.save_to_file(
                {"vocals": np.zeros((100, 2), np.float32)}, "x.wav", tmp_path / "child", synchronous=False
            )
            toy_separator.join(60)
            status = 0
        finally:
            os._exit(status)
    deadline = time.monotonic() + 90
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.05)
    assert os.waitstatus_to_exitcode(done[1]) == 0
    assert (tmp_path / "child/x/vocals.wav").is_file()
    gate.set()
    toy_separator.join(60)
    assert (tmp_path / "parent/audio.example/vocals.wav").is_file()


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros(100, np.float32), r"shape \(samples, channels\), got \(100,\)"),
        (np.zeros((2, 259_332), np.float32), r"shape \(samples, channels\).*\(2, 259332\); transpose it"),
        (np.zeros((100, 9), np.float32), r"shape \(samples, channels\), got \(100, 9\)"),
        (np.zeros((100, 2), np.int16), "floats from -1 to 1, got int16; divide it by 32768"),
        (np.zeros((100, 2), np.int32), "divide it by 2147483648"),
        (np.zeros((100, 2), np.uint8), "got uint8"),
        (np.zeros((100, 2), bool), "got bool"),
        (np.zeros((100, 2), complex), "got complex128"),
        ("song.wav", r"got \(\)"),
    ],
)
def test_waveforms_that_are_none(toy_separator, tmp_path, waveform, message):
    with pytest.raises(SpleeterError, match=message):
        toy_separator.separate(waveform)
    with pytest.raises(SpleeterError, match=message):
        toy_separator.save_to_file({"vocals": np.zeros((9, 2)), "bass": waveform}, "x.wav", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("timeout", ["3", -1, float("nan")])
def test_timeouts_that_are_none(toy_separator, timeout):
    with pytest.raises(SpleeterError, match="timeout"):
        toy_separator.join(timeout)


def test_lists_and_other_floats_are_waveforms(toy_separator):
    waveform = tones(2000).T
    expected = toy_separator.separate(waveform)["vocals"]
    for same in (waveform.astype(np.float64), waveform.tolist()):
        np.testing.assert_allclose(toy_separator.separate(same)["vocals"], expected, atol=1e-6)


@pytest.mark.parametrize("bitrate", [128, 128.0, np.int64(128), 128_000, "128k", "128000", None])
def test_bitrates_of_many_kinds(toy_separator, tmp_path, bitrate):
    stems = {"a": tones(44_100).T}
    toy_separator.save_to_file(stems, "x", tmp_path, codec="mp3", bitrate=bitrate)
    toy_separator.save_to_file(stems, "expected", tmp_path, codec="mp3", bitrate="128k")
    assert (tmp_path / "x/a.mp3").read_bytes() == (tmp_path / "expected/a.mp3").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bitrate": float("nan")}, "bitrate"),
        ({"bitrate": True}, "bitrate"),
        ({"bitrate": -128}, "bitrate"),
        ({"bitrate": "loud"}, "bitrate"),
        ({"offset": float("nan")}, "offset"),
        ({"offset": -1}, "offset"),
        ({"offset": "1"}, "offset"),
        ({"offset": float("inf")}, "offset"),
        ({"duration": float("nan")}, "duration"),
        ({"duration": float("inf")}, "duration"),
        ({"duration": 0}, "duration"),
        ({"codec": None}, "codec"),
        ({"codec": "tape"}, "tape"),
    ],
)
@pytest.mark.parametrize("adapter", [None, Silent()], ids=["default", "own"])
def test_arguments_that_make_no_sense(toy_separator, audio, tmp_path, options, message, adapter):
    with pytest.raises(SpleeterError, match=message):
        toy_separator.separate_to_file(audio, tmp_path / "out", adapter, **options)
    assert not (tmp_path / "out").exists()


def test_a_target_that_is_in_the_way_is_an_error_of_spleeters(toy_separator, tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(SpleeterError, match="cannot write"):
        toy_separator.save_to_file({"a": np.zeros((9, 2))}, "x.wav", tmp_path)


def test_no_offset_is_the_beginning(toy_separator, audio, tmp_path):
    toy_separator.separate_to_file(audio, tmp_path / "out", offset=None, duration=np.float64(0.5))
    assert read(tmp_path / "out/audio.example/vocals.wav").shape == (2, 22_050)


def test_other_rates_come_out_at_44100(toy_separator, tmp_path):
    path = write(tmp_path / "x.wav", tones(48_000, 48_000), 48_000)
    toy_separator.separate_to_file(path, tmp_path / "out")
    assert read(tmp_path / "out/x/vocals.wav").shape == (2, 44_100)


def test_no_model_no_stems(toy_json):
    for path in (toy_json.parent / "weights").iterdir():
        path.unlink()
    with pytest.raises(SpleeterError, match="no checkpoint"):
        Separator(str(toy_json))


class Foreign:
    """As a tensor with a gradient, or in a type that NumPy has not."""

    def __array__(self, *args, **options):
        raise RuntimeError("cannot be read")


@pytest.mark.parametrize("waveform", [[[1.0, 2.0], [3.0]], Foreign(), None])
def test_what_is_no_array_is_one_clear_error(tmp_path, cache, waveform):
    with pytest.raises(SpleeterError, match=r"expected a waveform of shape \(samples, channels\)"):
        Separator(str(write_toy(tmp_path, TOY))).separate(waveform)


def test_arguments_of_wrong_types_are_one_clear_error(tmp_path, cache):
    toy = Separator(str(write_toy(tmp_path, TOY)))
    path, samples = write(tmp_path / "song.wav", tones(3000)), np.zeros((100, 2), np.float32)
    out = tmp_path / "out"
    for wrong in (None, 3, b"song.wav"):
        for source, target in ((wrong, out), (path, wrong)):
            with pytest.raises(SpleeterError, match="expected a path"):
                toy.separate_to_file(source, target)
            with pytest.raises(SpleeterError, match="expected a path"):
                toy.save_to_file({"vocals": samples}, source, target)
        with pytest.raises(SpleeterError, match="filename_format"):
            toy.separate_to_file(path, out, filename_format=wrong)
        with pytest.raises(SpleeterError, match="expected a path"):
            AudioAdapter.default().load(wrong)
        with pytest.raises(SpleeterError, match="expected a path"):
            AudioAdapter.default().save(wrong, samples, 44100)
        with pytest.raises(SpleeterError, match="dotted path"):
            AudioAdapter.get(wrong)
    for adapter in ("adapter", 3, AudioAdapter.get):
        with pytest.raises(SpleeterError, match="methods load and save"):
            toy.separate_to_file(path, out, adapter)
    for sources in (None, [samples], {1: samples}):
        with pytest.raises(SpleeterError, match="names of their stems"):
            toy.save_to_file(sources, path, out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((False, False), {}),  # 2.4: multiprocess comes third
        ((False, STFTBackend.AUTO, False), {}),  # 1.5 to 2.3: the backend comes before it
        ((False, "librosa"), {"multiprocess": False}),
        ((), {"stft_backend": STFTBackend.TENSORFLOW, "multiprocess": False}),
        ((), {"MWF": False, "stft_backend": "librosa"}),
    ],
)
def test_separators_are_made_as_in_all_versions(toy_json, arguments, options):
    separator = Separator(str(toy_json), *arguments, **options)
    assert set(separator.separate(tones(2000).T)) == {"vocals", "accompaniment"}


def test_a_separator_whose_weights_cannot_be_had_can_be_made(cache, monkeypatch, tmp_path):
    """Scripts make one for each of Spleeter's models, and use those that they have."""
    monkeypatch.setenv("UNWEAVE_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    separator = Separator("spleeter:4stems")
    assert separator._params["instrument_list"] == ["vocals", "drums", "bass", "other"]
    separator.save_to_file({"bass": tones(100).T}, "x.wav", tmp_path)
    assert read(tmp_path / "x" / "bass.wav").shape == (2, 100)
    for work in (lambda: separator.separate(tones(100).T), lambda: separator.separate_to_file("x/bass.wav", tmp_path)):
        with pytest.raises(SpleeterError, match="the weights 4stems could not be fetched"):
            work()


def test_a_model_is_loaded_once_however_many_threads_ask_for_it(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("UNWEAVE_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    separator = Separator("spleeter:4stems")
    loaded, is_loaded_twice, other = [], threading.Event(), threading.Thread(target=separator.load)

    def load(*arguments, **options):
        loaded.append(object())
        if len(loaded) == 1:
            other.start()
            is_loaded_twice.wait(0.1)
        else:
            is_loaded_twice.set()
        return loaded[-1]

    monkeypatch.setattr("unweave.compat.spleeter.separator.OurSeparator", load)
    separator.load()
    other.join()
    assert loaded == [separator._separator]


def test_codecs_are_text_wherever_text_is_made_of_them():
    """Scripts find the stems by such names; without care Python 3.11 and later make ``Codec.MP3`` of it."""
    assert f"vocals.{Codec.MP3}" == "vocals." + Codec.MP3 == "vocals.mp3"
    assert str(Codec.MP3) == format(Codec.MP3) == Codec("mp3") == Codec["MP3"].value == "mp3"


@pytest.mark.parametrize("adapter", [None, LibraryAudioAdapter()], ids=["default", "own"])
@pytest.mark.parametrize(
    ("template", "codec", "stem", "container"),
    [
        ("{instrument}.mp3", "wav", "vocals.mp3", "mp3"),
        ("{codec}/{instrument}.FLAC", Codec.WAV, "wav/vocals.FLAC", "flac"),
        ("{instrument}.wave", "wav", "vocals.wave", "wav"),
        ("{instrument}.x", "mp3", "vocals.x", "mp3"),
        ("{instrument}.{codec}", "flac", "vocals.flac", "flac"),
    ],
)
def test_where_the_codec_is_wav_the_extension_decides(
    toy_separator, tmp_path, monkeypatch, adapter, template, codec, stem, container
):
    """As with the original, where that is FFmpeg's choice: a WAV called vocals.mp3 would be no help to anybody."""
    if adapter is not None:
        monkeypatch.setattr(adapter, "load", Silent().load, raising=False)
    path = write(tmp_path / "song.wav", tones(5000))
    toy_separator.separate_to_file(path, tmp_path / "out", adapter, codec=codec, filename_format=template)
    with av.open(str(tmp_path / "out" / stem)) as file:
        assert file.format.name == container

"""Where audio comes from: odd names, pipes, file objects that begin in the middle."""

import io
import os
import threading

import numpy as np
import pytest

from tests.audio.test_files import read, write
from tests.helpers.media import encoded
from tests.helpers.signals import tones
from unweave.audio.decode import AudioReader
from unweave.audio.sources import Section, reason
from unweave.errors import AudioReadError

SONG = tones(88_065)


@pytest.mark.parametrize("codec", ["wav", "flac", "m4a", "ogg"])
def test_names_that_are_no_utf_8(tmp_path, codec):
    path = tmp_path / os.fsdecode(b"caf\xe9 \xff." + codec.encode())
    write(path, SONG)
    assert read(path).shape == SONG.shape
    with AudioReader(path) as reader:
        assert sum(block.shape[1] for block in reader.again()) == SONG.shape[1]
    with pytest.raises(AudioReadError, match="no such file"):
        AudioReader(path.with_suffix(".gone"))


@pytest.mark.parametrize(("length", "is_told"), [(259, False), (260, True)])
def test_a_path_that_is_too_long_for_windows(tmp_path, monkeypatch, length, is_told):
    """It says that there is no such file, of one that is to be written, too."""
    path = str(tmp_path / "x").ljust(length, "x")
    with pytest.raises(FileNotFoundError) as caught:
        os.stat(path)
    assert "no such file" in reason(caught.value)
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        told = reason(caught.value)
    assert ("more than the 259 characters" in told) == is_told


@pytest.mark.parametrize(
    ("container", "codec"), [("wav", "pcm_s16le"), ("mp2", "mp2"), ("ogg", "flac"), ("adts", "aac")]
)
def test_a_named_pipe_is_opened_once(tmp_path, container, codec):
    raw = encoded(SONG, container, codec)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    thread = threading.Thread(target=lambda: pipe.write_bytes(raw))
    thread.start()
    with AudioReader(pipe) as reader:
        with pytest.raises(AudioReadError, match="twice"):
            next(reader.again())
        back = np.concatenate(list(reader), axis=1)
    thread.join()
    np.testing.assert_array_equal(back, read(io.BytesIO(raw)))


@pytest.mark.parametrize(
    ("container", "codec"), [("wav", "pcm_s16le"), ("mp4", "aac"), ("ogg", "flac"), ("flac", "flac")]
)
def test_a_file_object_is_read_from_where_it_is(container, codec):
    raw = encoded(SONG, container, codec)
    file = io.BytesIO(b"something else" * 100 + raw)
    file.seek(1400)
    with AudioReader(file) as reader:
        first = np.concatenate(list(reader.again()), axis=1)
        back = np.concatenate(list(reader), axis=1)
    np.testing.assert_array_equal(back, first)
    np.testing.assert_array_equal(back, read(io.BytesIO(raw)))
    assert not file.closed


def test_a_section_is_a_file():
    section = Section(io.BytesIO(b"0123456789"), 2, 7)
    assert section.read(2) == b"23"
    assert section.tell() == 2
    assert section.seek(-1, io.SEEK_END) == 4
    assert section.read() == b"6"
    assert section.read() == b""
    assert section.seek(100) == 100
    assert section.read() == b""
    assert section.seek(-200, io.SEEK_CUR) == 0
    assert section.read(100) == b"23456"


@pytest.mark.parametrize("at_once", [1000, 13])
def test_a_file_object_that_gives_parts_of_what_it_is_asked_for(at_once, caplog):
    """As one does that fetches pages of a remote file: whole samples need not fit into them."""

    class Pages(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, at_once - self.tell() % at_once))

    raw = encoded(SONG[:, :5000], "wav", "pcm_s24le")
    np.testing.assert_array_equal(read(Pages(raw)), read(io.BytesIO(raw)))
    assert caplog.text == ""
    assert Section(Pages(raw), 5).read(50) == raw[5:55]


def test_files_are_closed(tmp_path):
    path = write(tmp_path / "x.wav", SONG)
    two = tmp_path / "two.flac"
    two.write_bytes(encoded(SONG, "flac", "flac") * 3)
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    for source in (path, two):
        for _ in range(5):
            read(source)
            with AudioReader(source) as reader:
                next(reader.again())
                reader.expected_seconds  # noqa: B018
                reader.tags  # noqa: B018
            with pytest.raises(AudioReadError):
                AudioReader(source, stream=5)
    assert (len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0) == before


class FailingDisk(io.BytesIO):
    """Gives its first 128 kB and no more, as soon as it ``fails``."""

    fails = True

    def read(self, size=-1):
        if self.fails and self.tell() >= 1 << 17:
            raise OSError(5, "Input/output error")
        return super().read(size if 0 <= size < 1 << 16 else 1 << 16)


def test_a_disk_that_fails_is_said_in_one_line():
    """FLAC files are looked through for others behind them when they are opened."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 200_000)).astype(np.float32)
    file = FailingDisk(encoded(noise, "flac", "flac"))
    with pytest.raises(AudioReadError, match=r"cannot read .*: input/output error"):
        AudioReader(file)
    file.fails = False
    file.seek(0)
    with AudioReader(file) as reader:
        blocks = iter(reader)
        next(blocks)
        file.fails = True
        with pytest.raises(AudioReadError, match=r"cannot read .*: input/output error"):
            list(blocks)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("n_read", [0, 1])
def test_a_reader_that_was_closed_reads_no_more(tmp_path, extension, n_read):
    """FFmpeg would crash, and take the process along."""
    path = write(tmp_path / f"x.{extension}", tones(200_000))
    with AudioReader(path) as reader:
        blocks = iter(reader)
        for _ in range(n_read):
            next(blocks)
    with pytest.raises(AudioReadError, match="it has been closed"):
        list(blocks)


def test_a_reader_is_read_once(tmp_path):
    """It used to give its first block once more, as if that were all."""
    with AudioReader(write(tmp_path / "x.flac", SONG)) as reader:
        assert sum(block.shape[1] for block in reader) == SONG.shape[1]
        with pytest.raises(AudioReadError, match=r"x\.flac twice"):
            next(iter(reader))


def test_a_description_of_streams_never_listens_to_the_network():
    """FFmpeg would open a port and wait for packets; for what has no name, such as a file object, it sets no limits."""
    description = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 43210 RTP/AVP 0\n"
    outcomes = []

    def try_to_read():
        try:
            outcomes.append(read(io.BytesIO(description)))
        except AudioReadError:
            outcomes.append("refused")

    thread = threading.Thread(target=try_to_read, daemon=True)
    thread.start()
    thread.join(10)
    assert outcomes == ["refused"]

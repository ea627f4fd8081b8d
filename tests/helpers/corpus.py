"""Bad and odd input, made by formulas: ``make(folder)`` writes it, and says which of it must fail.

Run it by hand with ``python -m tests.helpers.corpus FOLDER``.
"""

import sys
from pathlib import Path

import av
import numpy as np
import soundfile

from tests.helpers.signals import tones
from unweave.audio.encode import AudioWriter
from unweave.audio.formats import find_format

# One line on stderr, a non-zero exit, and no stem.
MUST_FAIL = (
    "empty.wav",
    "empty.mp3",
    "text.mp3",
    "zero_length.wav",
    "cover_only.m4a",
    "header_only.flac",
    "picture.wav",
    "missing.wav",
)
# The stems of what is there.
MUST_WORK = (
    "truncated.wav",
    "truncated.mp3",
    "truncated.flac",
    "eight_bit.wav",
    "surround_71.wav",
    "not_numbers.wav",
    "one_sample.wav",
    "garbage_in_the_middle.mp3",
    "wrong_extension.mp3",
)


def encode(path, waveform, sample_rate=44100, bit_depth="16"):
    options = {"sample_rate": sample_rate, "n_channels": len(waveform), "bit_depth": bit_depth}
    with AudioWriter(path, find_format(path.suffix[1:]), **options) as writer:
        writer.write(waveform)
        writer.finish()
        writer.commit()


def picture(path, container, codec):
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=1)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "rgb24"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        out.mux(stream.encode(None))


def make(folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("empty.wav", "empty.mp3"):
        (folder / name).write_bytes(b"")
    (folder / "text.mp3").write_text("These are words, and no music at all.\n" * 50)
    soundfile.write(folder / "zero_length.wav", np.zeros((0, 2), np.float32), 44100)
    picture(folder / "cover_only.m4a", "mp4", "mjpeg")
    picture(folder / "picture.wav", "image2pipe", "png")

    for extension in ("wav", "mp3", "flac"):
        path = folder / f"truncated.{extension}"
        encode(path, tones(44_100))
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    (folder / "header_only.flac").write_bytes((folder / "truncated.flac").read_bytes()[:42])
    soundfile.write(folder / "eight_bit.wav", tones(8000, 8000)[0], 8000, subtype="PCM_U8")
    with av.open(str(folder / "surround_71.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=48000, layout="7.1")
        packed = np.ascontiguousarray(np.tile(tones(48_000, 48_000), (4, 1)).T * 20_000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(packed.reshape(1, -1), format="s16", layout="7.1")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    odd = tones(44_100)
    odd[0, 100:200], odd[1, 300], odd[1, 301] = np.nan, np.inf, -np.inf
    soundfile.write(folder / "not_numbers.wav", odd.T, 44_100, "FLOAT")
    encode(folder / "one_sample.wav", np.full((2, 1), 0.5, np.float32))
    path = folder / "garbage_in_the_middle.mp3"
    encode(path, tones(88_200))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 2000] = np.random.default_rng(0).bytes(2000)
    path.write_bytes(raw)
    encode(folder / "inside.wav", tones(10_000))
    (folder / "inside.wav").rename(folder / "wrong_extension.mp3")
    return folder


if __name__ == "__main__":
    make(Path(sys.argv[1]))

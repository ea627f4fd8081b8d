"""Audio decoded by libsndfile: PCM files that FFmpeg misreads or does not know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from unweave.audio.decoder import Piece
from unweave.audio.links import WHOLE, Link
from unweave.audio.recognise import no_such_track, unreadable
from unweave.audio.sources import Section, Source, reason
from unweave.audio.tags import Tags, kept_texts
from unweave.errors import AudioReadError

BLOCK_SAMPLES = 1 << 14
# libsndfile's names of tags → FFmpeg's.
TAG_NAMES = {"tracknumber": "track"}


class SoundFileDecoder:
    """The bytes of ``link``, one stream. Raises `AudioReadError` for what libsndfile cannot read, and another track."""

    def __init__(self, source: Source, link: Link = WHOLE, *, stream: int | None = None) -> None:
        import soundfile

        if stream:
            raise no_such_track(source.name, 1, stream)
        self._name = source.name
        self._bytes = _Bytes(source.file(link.start, link.stop))
        try:
            self._file: Any = soundfile.SoundFile(self._bytes)
        except (soundfile.LibsndfileError, OSError, TypeError, RuntimeError) as error:
            self._bytes.close()
            raise unreadable(source, _first_line(error)) from error
        self.sample_rate = int(self._file.samplerate)
        self.n_channels = int(self._file.channels)
        self.stores_samples, self.is_headless, self.stopped_early = True, False, False

    @property
    def seconds(self) -> float | None:
        """How long the header says it is."""
        return float(self._file.frames / self.sample_rate) if self.sample_rate else None

    @property
    def stated_seconds(self) -> float | None:
        """None: libsndfile tells what is there, not what was promised."""
        return None

    @property
    def tags(self) -> Tags:
        """What the file says about its music."""
        texts = {TAG_NAMES.get(name, name): text for name, text in self._file.copy_metadata().items()}
        return Tags(kept_texts(texts))

    def pieces(self) -> Iterator[Piece | None]:
        """The samples in blocks."""
        import soundfile

        while True:
            try:
                samples = self._file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, OSError):
                yield None
                return
            if self._bytes.error is not None:
                raise AudioReadError(f"cannot read {self._name}: {reason(self._bytes.error)}")
            if not len(samples):
                return
            yield Piece(np.ascontiguousarray(samples.T), self.sample_rate)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._bytes.close()


class _Bytes:
    """A file as libsndfile reads it, which takes any exception for its end: ``error`` is what was wrong."""

    def __init__(self, file: Section) -> None:
        self._file = file
        self.seek, self.tell, self.close = file.seek, file.tell, file.close
        self.error: OSError | None = None

    def read(self, size: int) -> bytes:
        """``size`` bytes, fewer at the end or where reading fails."""
        try:
            return self._file.read(size)
        except OSError as error:
            self.error = error
            return b""


def _first_line(error: BaseException) -> str:
    text = str(getattr(error, "error_string", "") or error).strip().splitlines()[0].rstrip(".")
    return text[:1].lower() + text[1:]

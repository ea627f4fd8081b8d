"""Where audio comes from: a path, a pipe, or a file object, opened once or several times."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias

from unweave.errors import AudioReadError

# A path, or a file object opened for reading bytes.
AudioSource: TypeAlias = str | os.PathLike[str] | IO[bytes]

HEAD_BYTES = 1 << 16  # what is looked at to recognise a file
MAX_PATH = 259  # characters; of a longer path Windows says that it is not there, unless it was set up for such
PIPE_HEAD_BYTES = 1 << 12  # of a pipe, whose bytes may come at the speed of sound


class Source:
    """A file that is to be read: its ``name`` for messages, and its first bytes, ``head``.

    What cannot seek (a pipe, standard input) can be opened once. Raises `AudioReadError`.
    """

    def __init__(self, given: AudioSource) -> None:
        self.name = source_name(given)
        self._path: Path | None = None
        self._file: Any = given
        self._own: list[IO[bytes]] = []
        try:
            if isinstance(given, (str, os.PathLike)):
                path = Path(given)
                mode = path.stat().st_mode
                file = path.open("rb", buffering=0)
                if stat.S_ISREG(mode):
                    with file:
                        self.head = _read(file, HEAD_BYTES)
                    self._path, self._start = path, 0
                    return
                self._own.append(file)
                self._file = file
            self._start = _position(self._file)
            self.head = _read(self._file, HEAD_BYTES if self.is_seekable else PIPE_HEAD_BYTES)
            if self.is_seekable:
                self._file.seek(self._start)
        except (OSError, ValueError) as error:
            self.close()
            raise AudioReadError(f"cannot read {self.name}: {reason(error)}") from error

    @property
    def is_path(self) -> bool:
        """Whether it is a regular file, which can be opened any number of times at once."""
        return self._path is not None

    @property
    def is_seekable(self) -> bool:
        """Whether it can be read from any place."""
        return self._path is not None or _is_seekable(self._file)

    def file(self, start: int = 0, stop: int | None = None) -> Any:
        """A file object for the bytes from ``start`` to ``stop`` (None: the end), at its beginning.

        Close it when it is done with: a file of many links is opened several times for each.
        """
        if self._path is not None:
            self._own = [file for file in self._own if not file.closed]
            file = self._path.open("rb")
            self._own.append(file)
            return Section(file, start, stop, is_own=True)
        if not self.is_seekable:
            return Replayed(self.head, self._file)
        return Section(self._file, self._start + start, None if stop is None else self._start + stop)

    def for_ffmpeg(self, start: int = 0, stop: int | None = None) -> Any:
        """What FFmpeg is to open: a name if it can be one, else a file object."""
        if self._path is None or start or stop is not None:
            return self.file(start, stop)
        # Always as a file: a name like "http:x.mp3" or "concat:a|b" must not be taken for one of FFmpeg's protocols.
        return "file:" + os.path.abspath(self._path)

    @contextmanager
    def kept_position(self) -> Iterator[None]:
        """Puts a file object that was given to its beginning, and afterwards back to where it was."""
        if self._path is not None:
            yield
            return
        position = self._file.tell()
        self._file.seek(self._start)
        try:
            yield
        finally:
            self._file.seek(position)

    def close(self) -> None:
        """Close what was opened here; a file object that was given stays open."""
        for file in self._own:
            file.close()
        self._own.clear()


class Section:
    """The bytes of a seekable file from ``start`` to ``stop`` (None: its end), as a file for reading.

    `close` closes the file only if it ``is_own``.
    """

    def __init__(self, file: IO[bytes], start: int, stop: int | None = None, *, is_own: bool = False) -> None:
        self._file, self._start, self._position, self._is_own = file, start, 0, is_own
        end = file.seek(0, io.SEEK_END)
        self._size = max(0, (end if stop is None else min(stop, end)) - start)

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """``size`` bytes, fewer only at the end, even where the file itself gives a part of what it is asked for."""
        left = max(0, self._size - self._position)
        self._file.seek(self._start + self._position)
        raw = _read(self._file, left if size < 0 else min(size, left))
        self._position += len(raw)
        return raw

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, counted in the section."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """The place in the section."""
        return self._position

    def close(self) -> None:
        """Done with it."""
        if self._is_own:
            self._file.close()


class Replayed:
    """A stream that cannot seek, with the bytes that were already taken from it put back in front."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self._head, self._file = head, file

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes, fewer where the stream gives fewer; none at its end."""
        if not self._head:
            return self._file.read(size)
        raw = self._head if size < 0 else self._head[:size]
        self._head = self._head[len(raw) :]
        return raw

    def close(self) -> None:
        """Done with it; the stream stays open."""


def source_name(source: AudioSource) -> str:
    """What to call a source in a message: its path, or the file object's name."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    return str(getattr(source, "name", "the given file object"))


def reason(error: BaseException) -> str:
    """An exception of FFmpeg or the system in a few words."""
    if (
        isinstance(error, FileNotFoundError)
        and os.name == "nt"
        and len(os.path.abspath(error.filename or "")) > MAX_PATH
    ):
        return f"its path has more than the {MAX_PATH} characters that Windows allows"
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:] if text else type(error).__name__


def _read(file: IO[bytes], size: int) -> bytes:
    """``size`` bytes, or all there are: a pipe gives what it has."""
    parts: list[bytes] = []
    while size > 0 and (raw := file.read(size)):
        if not isinstance(raw, bytes):
            raise ValueError("it was opened as text; open it with mode 'rb'")
        parts.append(raw)
        size -= len(raw)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _is_seekable(file: Any) -> bool:
    if not hasattr(file, "seek"):
        return False
    seekable = getattr(file, "seekable", None)
    return True if seekable is None else bool(seekable())


def _position(file: Any) -> int:
    try:
        return int(file.tell())
    except (OSError, ValueError, AttributeError):
        return 0

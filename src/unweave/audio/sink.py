"""The file that encoders write to."""

from __future__ import annotations

from io import FileIO


class Sink:
    """The temporary file as encoders see it: the first failure is kept for `check`, and what follows is dropped.

    Encoders call it from C, where a Python exception cannot pass and would be printed instead: an interrupt that comes
    just then is kept as well.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._failure: BaseException | None = None
        self.seek = file.seek
        self.tell = file.tell
        self.read = file.read
        self.readinto = file.readinto

    def write(self, raw: bytes) -> int:
        if self._failure is None:
            try:
                written = 0
                while written < len(raw):  # an unbuffered file may take a part
                    written += self._file.write(raw[written:])
            except BaseException as error:
                self._failure = error
        return len(raw)

    def flush(self) -> None:
        pass  # the file is unbuffered: the encoders collect bytes themselves

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure

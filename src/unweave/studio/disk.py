"""How much of the disk the jobs may take: what lies there, and what is promised to those still at work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from unweave.studio.refusals import Refused


class Disk:
    """The room under ``folder``, ``limit_bytes`` in all (None: no limit). Safe to use from several threads.

    Whoever is going to write says how much before the first byte, so that two who start at once do not both count on
    the same room. ``jobs`` gives the folders of the jobs that wait or run with what each will take in the end; ``lock``
    is theirs.
    """

    def __init__(
        self,
        folder: Path,
        limit_bytes: int | None,
        jobs: Callable[[], Mapping[Path, int]],
        lock: AbstractContextManager[object],
    ) -> None:
        self._folder, self._limit, self._jobs, self._lock = folder, limit_bytes, jobs, lock
        self._promises: dict[Path, int] = {}

    def used_bytes(self) -> int:
        """What lies under the folder and what is still to come of the promises."""
        return size_of(self._folder) + sum(self._outstanding().values())

    def promise(self, path: Path, n_bytes: int) -> None:
        """Keep room for ``path`` to become ``n_bytes`` long, until `release`. Raises `Refused` where there is none."""
        with self._lock:
            if self._limit is not None:
                used = size_of(self._folder) + sum(n for each, n in self._outstanding().items() if each != path)
                if used >= self._limit or used + max(0, n_bytes - size_of(path)) > self._limit:
                    raise Refused("disk_full")
            self._promises[path] = n_bytes

    def release(self, path: Path) -> None:
        """Keep no more room for ``path`` than what it takes."""
        with self._lock:
            self._promises.pop(path, None)

    @contextmanager
    def promised(self, path: Path, n_bytes: int) -> Iterator[None]:
        """`promise` and `release`."""
        self.promise(path, n_bytes)
        try:
            yield
        finally:
            self.release(path)

    def _outstanding(self) -> dict[Path, int]:
        """What is still to be written, by the path that it was promised to."""
        with self._lock:
            promises = dict(self._promises)
            for path, n_bytes in self._jobs().items():
                promises[path] = max(n_bytes, promises.get(path, 0))
        return {path: max(0, n_bytes - size_of(path)) for path, n_bytes in promises.items()}


def size_of(path: Path) -> int:
    """The bytes of a file or of all files in a folder; what vanishes meanwhile, or is not there, counts nothing."""
    total = 0
    with suppress(OSError):
        if not path.is_dir():
            return path.stat().st_size
        for folder, _, names in os.walk(path):
            for name in names:
                with suppress(OSError):
                    total += os.lstat(os.path.join(folder, name)).st_size
    return total

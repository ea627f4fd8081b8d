"""Files on this machine or in any store that fsspec reaches: listed, brought here, put there whole."""

from __future__ import annotations

import posixpath
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec

from unweave.audio.formats import READABLE_EXTENSIONS
from unweave.errors import AudioReadError, AudioWriteError, OptionError


@dataclass(frozen=True)
class Place:
    """A folder: a path, or an address such as ``s3://bucket/folder``."""

    address: str

    @cached_property
    def _filesystem(self) -> tuple[Any, str]:
        try:
            system, root = fsspec.core.url_to_fs(self.address)
        except (ValueError, ImportError) as error:
            raise OptionError(f"cannot use {self.address}: {error}") from error
        return system, root.rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether it is a folder that every worker on this machine sees as it is."""
        return "file" in tuple(self._filesystem[0].protocol)

    @property
    def local_folder(self) -> Path:
        """The folder on this machine; only where `is_local`."""
        return Path(self._filesystem[1])

    def audio_files(self) -> list[str]:
        """The audio files below, relative to the folder, sorted. Raises `AudioReadError` where there is none."""
        system, root = self._filesystem
        try:
            found = system.find(root)
        except OSError as error:
            raise AudioReadError(f"cannot list {self.address}: {error}") from error
        names = sorted(str(path)[len(root) :].lstrip("/") for path in found)
        kept = [name for name in names if _is_audio(name)]
        if not kept:
            raise AudioReadError(f"no audio files in {self.address}")
        return kept

    def names(self) -> frozenset[str]:
        """All files below, relative to the folder; none where it does not exist yet."""
        system, root = self._filesystem
        try:
            return frozenset(str(path)[len(root) :].lstrip("/") for path in system.find(root))
        except OSError:
            return frozenset()

    def fetch(self, name: str, target: Path) -> None:
        """Copy the file ``name`` to ``target`` on this machine. Raises `AudioReadError`."""
        system, root = self._filesystem
        try:
            system.get_file(posixpath.join(root, name), str(target))
        except OSError as error:
            raise AudioReadError(f"cannot fetch {posixpath.join(self.address, name)}: {error}") from error

    def put(self, source: Path, name: str) -> None:
        """Copy ``source`` to ``name``, where it appears whole. Raises `AudioWriteError`.

        It is sent under another name and moved; object stores show an object only when it is complete anyway.
        """
        system, root = self._filesystem
        target = posixpath.join(root, name)
        partial = f"{target}.{uuid.uuid4().hex}.part"
        try:
            system.makedirs(posixpath.dirname(target), exist_ok=True)
            system.put_file(str(source), partial)
            system.mv(partial, target)
        except OSError as error:
            raise AudioWriteError(f"cannot put {posixpath.join(self.address, name)}: {error}") from error


def _is_audio(name: str) -> bool:
    base = posixpath.basename(name)
    return not base.startswith(".") and base.rpartition(".")[2].lower() in READABLE_EXTENSIONS

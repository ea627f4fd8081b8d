"""Files on this machine or in any store that fsspec reaches: listed, brought here, put there whole."""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec

from unweave.audio.recognise import START_BYTES, begins_right
from unweave.audio.sources import reason
from unweave.errors import AudioReadError, AudioWriteError, OptionError
from unweave.separation.identity import are_one_name
from unweave.separation.journal import file_stamp, file_state

Stamp = tuple[int, int]  # bytes, and the time of writing in nanoseconds


@dataclass(frozen=True)
class Place:
    """A folder: a path, or an address such as ``s3://bucket/folder``."""

    address: str

    @cached_property
    def _filesystem(self) -> tuple[Any, str]:
        try:
            system, root = fsspec.core.url_to_fs(self.address)
        except (ValueError, ImportError) as error:
            raise OptionError(f"cannot use {self.address}: {reason(error)}") from error
        return system, root.rstrip("/")

    def check(self) -> None:
        """Raise `OptionError` for an address that no installed store can read."""
        _ = self._filesystem

    @property
    def is_local(self) -> bool:
        """Whether it is a folder that every worker on this machine sees as it is."""
        return "file" in tuple(self._filesystem[0].protocol)

    @property
    def local_folder(self) -> Path:
        """The folder on this machine; only where `is_local`."""
        return Path(self._filesystem[1])

    @property
    def label(self) -> str:
        """What the folder is called: the last part of its address."""
        return posixpath.basename(self._filesystem[1].replace("\\", "/")) or "root"

    def is_one_name(self, first: str, second: str) -> bool:
        """Whether two names are the same file here; on this machine case may not count, in a store it does."""
        if first == second or not self.is_local:
            return first == second
        return are_one_name(self.local_folder / first, self.local_folder / second)

    def listing(self) -> dict[str, Stamp]:
        """All files below, relative to the folder, with bytes and time; none where it does not exist yet.

        Raises `AudioReadError` where it cannot be listed.
        """
        system, root = self._filesystem
        try:
            found = system.find(root, detail=True)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise AudioReadError(f"cannot list {self.address}: {reason(error)}") from error
        return {str(path)[len(root) :].lstrip("/"): _stamp(info) for path, info in found.items()}

    def below(self, other: Place) -> str | None:
        """Where this folder lies below ``other``, ``""`` for the very folder; None where it lies elsewhere."""
        (system, root), (others, top) = self._filesystem, other._filesystem
        if system != others:
            return None
        if root == top:
            return ""
        return root[len(top) :].strip("/") if root.startswith(f"{top}/") else None

    def stamp(self, name: str) -> Stamp | None:
        """Bytes and time of the file ``name``; None where it is not there."""
        if self.is_local:  # to the nanosecond, as the journal has it; fsspec rounds
            return file_stamp(self.local_folder / name)
        system, root = self._filesystem
        try:
            return _stamp(system.info(posixpath.join(root, name)))
        except OSError:
            return None

    def state(self, name: str) -> dict[str, Any] | None:
        """What identifies the bytes of the file ``name``, as in a `journal`; None where it is not there."""
        if self.is_local:
            return file_state(self.local_folder / name)
        stamp = self.stamp(name)
        return None if stamp is None else self.state_of(name, stamp)

    def state_of(self, name: str, stamp: Stamp) -> dict[str, Any]:
        """The same, where the store has told bytes and time already."""
        return {"file": posixpath.join(self.address, name), "bytes": stamp[0], "changed_ns": stamp[1]}

    def begins_right(self, name: str) -> bool:
        """Whether the file ``name``, which has a doubtful extension, begins like audio."""
        system, root = self._filesystem
        try:
            with system.open(posixpath.join(root, name), "rb") as file:
                return begins_right(name, file.read(START_BYTES))
        except OSError:  # whoever separates it says what is wrong
            return True

    def read(self, name: str) -> bytes:
        """The file ``name``; nothing where it cannot be read."""
        system, root = self._filesystem
        try:
            return bytes(system.cat_file(posixpath.join(root, name)))
        except OSError:
            return b""

    def write(self, name: str, raw: bytes) -> None:
        """Write the small file ``name``. Raises `AudioWriteError`."""
        system, root = self._filesystem
        try:
            system.makedirs(root, exist_ok=True)
            system.pipe_file(posixpath.join(root, name), raw)
        except OSError as error:
            raise AudioWriteError(f"cannot write {posixpath.join(self.address, name)}: {reason(error)}") from error

    def fetch(self, name: str, target: Path) -> None:
        """Copy the file ``name`` to ``target`` on this machine. Raises `AudioReadError`."""
        system, root = self._filesystem
        try:
            system.get_file(posixpath.join(root, name), str(target))
        except OSError as error:
            raise AudioReadError(f"cannot fetch {posixpath.join(self.address, name)}: {reason(error)}") from error

    def put(self, files: Mapping[Path, str]) -> None:
        """Copy files of this machine to their names here, where they appear whole, and all or none.

        They are sent under other names and then moved; a file that is replaced is kept until all are moved, and comes
        back if one cannot be. Raises `AudioWriteError`.
        """
        system, root = self._filesystem
        mark = uuid.uuid4().hex
        targets = {path: posixpath.join(root, name) for path, name in files.items()}
        kept: list[str] = []
        begun: list[str] = []
        try:
            for path, target in targets.items():
                system.makedirs(posixpath.dirname(target), exist_ok=True)
                system.put_file(str(path), f"{target}.{mark}.part")
            for target in targets.values():
                if system.exists(target):
                    system.copy(target, f"{target}.{mark}-old.part")
                    kept.append(target)
            for target in targets.values():
                begun.append(target)
                system.mv(f"{target}.{mark}.part", target)
        except BaseException as error:
            for target in begun:
                with suppress(OSError):
                    if target in kept:
                        system.copy(f"{target}.{mark}-old.part", target)
                    else:
                        system.rm_file(target)
            if isinstance(error, OSError):
                raise AudioWriteError(f"cannot write to {self.address}: {reason(error)}") from error
            raise
        finally:
            for target in targets.values():
                for partial in (f"{target}.{mark}.part", f"{target}.{mark}-old.part"):
                    with suppress(OSError):
                        system.rm_file(partial)


def _stamp(info: Mapping[str, Any]) -> Stamp:
    """Bytes and time in nanoseconds (0: the store does not say) from what a store says of a file."""
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        time = info.get(key)
        if isinstance(time, str):
            with suppress(ValueError):
                time = datetime.fromisoformat(time.replace("Z", "+00:00"))
        if isinstance(time, datetime):
            time = time.timestamp()
        if isinstance(time, (int, float)):
            return int(info.get("size") or 0), round(time * 1e9)
    return int(info.get("size") or 0), 0

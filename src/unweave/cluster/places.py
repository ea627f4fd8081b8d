"""Files on this machine or in any store that fsspec reaches: listed, brought here, put there whole."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec

from unweave.audio.recognise import START_BYTES, begins_right
from unweave.audio.sources import reason
from unweave.cluster.failures import store_failures
from unweave.cluster.listing import LAST, Span, Stamp, files_in_order, stamp_of
from unweave.cluster.upload import OBJECT_STORES, upload
from unweave.errors import AudioReadError, AudioWriteError, OptionError
from unweave.models.addresses import without_keys
from unweave.separation.identity import are_one_name
from unweave.separation.journal import file_stamp, file_state


@dataclass(frozen=True)
class Place:
    """A folder: a path, or an address such as ``s3://bucket/folder``."""

    address: str

    @cached_property
    def _filesystem(self) -> tuple[Any, str]:
        try:
            # Listings that are kept grow without limit, and what other workers wrote is not in them.
            system, root = fsspec.core.url_to_fs(self.address, use_listings_cache=False)
        except (ValueError, ImportError) as error:
            raise OptionError(without_keys(f"cannot use {self.address}: {reason(error)}")) from error
        return system, root.rstrip("/")

    @property
    def _protocols(self) -> tuple[str, ...]:
        protocol = self._filesystem[0].protocol
        return (protocol,) if isinstance(protocol, str) else tuple(protocol)

    def check(self) -> None:
        """Raise `OptionError` for an address that no installed store can read."""
        _ = self._filesystem

    @property
    def is_local(self) -> bool:
        """Whether it is a folder that every worker on this machine sees as it is."""
        return "file" in self._protocols

    @property
    def local_folder(self) -> Path:
        """The folder on this machine; only where `is_local`."""
        return Path(self._filesystem[1])

    @cached_property
    def shown(self) -> str:
        """The address for messages and for the journal, which lies beside the stems: without a password in it."""
        return without_keys(self.address)

    @property
    def label(self) -> str:
        """What the folder is called: the last part of its address."""
        return posixpath.basename(self._filesystem[1].replace("\\", "/")) or "root"

    def is_one_name(self, first: str, second: str) -> bool:
        """Whether two names are the same file here; on this machine case may not count, in a store it does."""
        if first == second or not self.is_local:
            return first == second
        return are_one_name(self.local_folder / first, self.local_folder / second)

    def files(self, *, prefix: str = "", after: str = "", until: str = LAST) -> Iterator[tuple[str, Stamp]]:
        """The files below, relative to the folder, with bytes and time, as a stream in the order of their names.

        Only those that begin with ``prefix``, come after ``after``, and not after ``until``. None where the folder does
        not exist yet. Raises `AudioReadError` where it cannot be listed, and for a store that has another order.
        """
        system, root = self._filesystem
        previous = ""
        with store_failures(AudioReadError, f"cannot list {self.shown}"):
            for name, stamp in files_in_order(system, root, Span(prefix, after, until)):
                if name <= previous:
                    raise AudioReadError(f"cannot use {self.shown}: the store does not list files in order")
                previous = name
                yield name, stamp

    def below(self, other: Place) -> str | None:
        """Where this folder lies below ``other``, ``""`` for the very folder; None where it lies elsewhere."""
        (system, root), (others, top) = self._filesystem, other._filesystem
        if system != others:
            return None
        if root == top:
            return ""
        return root[len(top) :].strip("/") if root.startswith(f"{top}/") else None

    def stamp(self, name: str) -> Stamp | None:
        """Bytes and time of the file ``name``; None where it is not there. Raises `AudioReadError`."""
        if self.is_local:  # to the nanosecond, as the journal has it; fsspec rounds
            return file_stamp(self.local_folder / name)
        system, root = self._filesystem
        with store_failures(AudioReadError, f"cannot look at {self._full(name)}"):
            try:
                return stamp_of(system.info(posixpath.join(root, name)))
            except FileNotFoundError:
                return None

    def state(self, name: str, listed: Stamp | None = None) -> dict[str, Any] | None:
        """What identifies the bytes of the file ``name``, as in a `journal`; None where it is not there.

        A store is only asked where no listing has told bytes and time. Raises `AudioReadError`.
        """
        if self.is_local:  # to the nanosecond, which no listing tells
            return file_state(self.local_folder / name)
        stamp = listed or self.stamp(name)
        return None if stamp is None else {"file": self._full(name), "bytes": stamp[0], "changed_ns": stamp[1]}

    def begins_right(self, name: str) -> bool:
        """Whether the file ``name``, which has a doubtful extension, begins like audio."""
        system, root = self._filesystem
        try:
            with (
                store_failures(AudioReadError, f"cannot read {self._full(name)}"),
                system.open(posixpath.join(root, name), "rb") as file,
            ):
                return begins_right(name, file.read(START_BYTES))
        except AudioReadError:  # whoever separates it says what is wrong
            return True

    def read(self, name: str) -> bytes | None:
        """The file ``name``; None where it is not there. Raises `AudioReadError`."""
        system, root = self._filesystem
        with store_failures(AudioReadError, f"cannot read {self._full(name)}"):
            try:
                return bytes(system.cat_file(posixpath.join(root, name)))
            except FileNotFoundError:
                return None

    def write(self, name: str, raw: bytes) -> None:
        """Write the small file ``name``. Raises `AudioWriteError`."""
        system, root = self._filesystem
        with store_failures(AudioWriteError, f"cannot write {self._full(name)}"):
            if OBJECT_STORES.isdisjoint(self._protocols):  # in those it would make a bucket of a mistyped name
                system.makedirs(root, exist_ok=True)
            system.pipe_file(posixpath.join(root, name), raw)

    def fetch(self, name: str, target: Path) -> None:
        """Copy the file ``name`` to ``target`` on this machine. Raises `AudioReadError`."""
        system, root = self._filesystem
        with store_failures(AudioReadError, f"cannot fetch {self._full(name)}"):
            system.get_file(posixpath.join(root, name), str(target))

    def put(self, files: Mapping[Path, str]) -> dict[str, Stamp]:
        """Copy files of this machine to their names here, where each appears whole. Raises `AudioWriteError`.

        Returns the stamps of those of which the store has told them, by name.

        In object stores they appear one after the other, and if one cannot be written, those before it stay. Elsewhere
        they appear all together or not at all, and a file that was there before comes back.
        """
        system, root = self._filesystem
        with store_failures(AudioWriteError, f"cannot write to {self.shown}"):
            paths = {path: posixpath.join(root, name) for path, name in files.items()}
            stamps = upload(system, self._protocols, paths)
        return {name: stamps[paths[path]] for path, name in files.items() if paths[path] in stamps}

    def _full(self, name: str) -> str:
        return posixpath.join(self.shown, name)

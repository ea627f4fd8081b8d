"""The files of a store as a stream, in the order of their names: a page at a time, however many there are."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Stamp = tuple[int, int]  # bytes, and the time of writing in nanoseconds; in S3 a number that stands for the ETag

LAST = "\U0010ffff"  # after every other character


@dataclass(frozen=True)
class Span:
    """A stretch of names: those that begin with ``prefix``, come after ``after``, and not after ``until``."""

    prefix: str = ""
    after: str = ""
    until: str = LAST

    def has(self, name: str) -> bool:
        """Whether ``name`` is in it."""
        return name.startswith(self.prefix) and self.after < name <= self.until

    def meets(self, folder: str) -> bool:
        """Whether a name below ``folder``, which ends with a slash, can be in it."""
        common = folder.startswith(self.prefix) or self.prefix.startswith(folder)
        return common and folder <= self.until and (folder > self.after or self.after.startswith(folder))


def files_in_order(system: Any, root: str, span: Span = Span()) -> Iterator[tuple[str, Stamp]]:
    """Name below ``root``, and `Stamp`, of every file in ``span``, in the order of Unicode's code points.

    S3 gives pages of 1,000 in this order, and only one is held. Elsewhere folders are listed one by one, and those on
    the way down are held. A folder that does not exist has no files; whatever else the store raises is raised.
    """
    if "s3" in _protocols(system):
        return _pages(system, root, span)
    return _walk(system, root, "", span)


def _pages(system: Any, root: str, span: Span) -> Iterator[tuple[str, Stamp]]:
    bucket, _, folder = root.partition("/")
    start = f"{folder}/" if folder else ""
    request = {"Bucket": bucket, "Prefix": start + span.prefix}
    if span.after:
        request["StartAfter"] = start + span.after
    while True:
        page = system.call_s3("list_objects_v2", **request)
        for each in page.get("Contents", ()):
            name = each["Key"][len(start) :]
            if name > span.until:
                return
            if name and not name.endswith("/"):  # such are the folders that consoles make
                yield name, stamp_of({"size": each["Size"], **each})
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def _walk(system: Any, root: str, folder: str, span: Span) -> Iterator[tuple[str, Stamp]]:
    """What is below ``folder``, which is empty or ends with a slash."""
    try:
        found = system.ls(posixpath.join(root, folder).rstrip("/") or "/", detail=True)
    except FileNotFoundError:
        return
    entries: list[tuple[str, Stamp | None]] = []
    for info in found:
        base = posixpath.basename(str(info["name"]).rstrip("/"))
        path = f"{folder}{base}"
        if info["type"] == "directory":
            if span.meets(f"{path}/"):
                entries.append((f"{path}/", None))
        elif span.has(path) and posixpath.join(root, path).strip("/") == str(info["name"]).strip("/"):
            entries.append((path, stamp_of(info)))
    for name, stamp in sorted(entries, key=lambda entry: entry[0]):
        if stamp is None:
            yield from _walk(system, root, name, span)
        else:
            yield name, stamp


def stamp_of(info: Mapping[str, Any]) -> Stamp:
    """Bytes and time in nanoseconds (0: the store does not say) from what a store says of a file.

    S3 keeps times in whole seconds, in which two runs can write the same name; its ETag tells their objects apart.
    """
    if etag := etag_of(info):
        digest = hashlib.blake2b(etag.encode(), digest_size=7).digest()
        return int(info.get("size") or 0), int.from_bytes(digest, "big")
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


def etag_of(info: Mapping[str, Any]) -> str:
    """The ETag in what S3 says of an object, without quotes; weak where a proxy has compressed the answer."""
    return str(info.get("ETag") or "").removeprefix("W/").strip('"')


def _protocols(system: Any) -> tuple[str, ...]:
    protocol = system.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)

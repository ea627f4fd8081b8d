"""Files of this machine to a store, where they appear whole: several together, or one after the other."""

from __future__ import annotations

import hashlib
import mimetypes
import posixpath
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from unweave.cluster.failures import store_code
from unweave.cluster.listing import Stamp, etag_of, stamp_of

# In these an object appears when its last byte has been received, and there is no renaming, only copying.
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"}
S3 = {"s3", "s3a"}  # can be written to on condition that nothing is there
BYTES_IN_PARTS = 100 * 2**20  # from this size on s3fs sends a file in parts
# The condition is not met, which s3fs only takes for FileExistsError where the store names the condition, as Amazon's
# does; another is writing the object; the store knows no conditions.
NOT_CREATED = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409", "NotImplemented", "501"}


def upload(system: Any, protocols: tuple[str, ...], files: Mapping[Path, str]) -> dict[str, Stamp]:
    """Copy ``files`` to their paths in the store, where each appears whole. Raises OSError.

    Returns the stamps of those whose stamp the store has told in its answer: S3, where whoever asks for it later may be
    told of another's object.

    Where files can be renamed, none of the new ones stays if one cannot be written. In object stores those before it
    stay, and a file that is there with the same bytes is left as it is: a worker that is cut off is taken for dead, so
    that two may write a song at once. Each counts on what it finds, and neither may take anything back.
    """
    if OBJECT_STORES.isdisjoint(protocols):
        _rename_into_place(system, files)
        return {}
    is_s3 = not S3.isdisjoint(protocols)
    stamps = {target: _send_object(system, path, target, is_s3=is_s3) for path, target in files.items()}
    return {target: stamp for target, stamp in stamps.items() if stamp is not None}


def _send_object(system: Any, path: Path, target: str, *, is_s3: bool) -> Stamp | None:
    try:
        if is_s3:
            return _put_s3(system, path, target, mode="create")
        there = _info(system, target)
    except OSError as error:
        # What is there may be our own: its answer was lost, and it was sent again.
        if not isinstance(error, FileExistsError) and store_code(error) not in NOT_CREATED:
            raise
        there = _info(system, target)
    if there is not None and _is_same(path, there):
        return stamp_of(there) if is_s3 else None
    if is_s3:
        return _put_s3(system, path, target, mode="overwrite")
    system.put_file(str(path), target)
    return None


def _put_s3(system: Any, path: Path, target: str, *, mode: Literal["create", "overwrite"]) -> Stamp | None:
    """What ``put_file`` of s3fs does, which keeps the answer to itself; None where that tells nothing, and in parts."""
    n_bytes = path.stat().st_size
    if n_bytes >= BYTES_IN_PARTS:
        system.put_file(str(path), target, mode=mode)
        return None
    bucket, key, _ = system.split_path(target)
    headers = {"IfNoneMatch": "*"} if mode == "create" else {}
    if content_type := mimetypes.guess_type(path)[0]:
        headers["ContentType"] = content_type
    answer = system.call_s3("put_object", Bucket=bucket, Key=key, Body=path.read_bytes(), **headers)
    return stamp_of({"size": n_bytes, **answer}) if etag_of(answer) else None


def _info(system: Any, target: str) -> Mapping[str, Any] | None:
    try:
        info: Mapping[str, Any] = system.info(target)
    except FileNotFoundError:
        return None
    return info if info.get("type") != "directory" else None


def _is_same(path: Path, there: Mapping[str, Any]) -> bool:
    """Whether an object has the bytes of ``path``, by its ETag; unknown, so no, if it was sent in parts."""
    if there.get("size") != path.stat().st_size:
        return False
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, _md5) if hasattr(hashlib, "file_digest") else _md5(file.read())
    return etag_of(there) == digest.hexdigest()


def _md5(raw: bytes = b"") -> Any:
    return hashlib.md5(raw, usedforsecurity=False)


def _rename_into_place(system: Any, files: Mapping[Path, str]) -> None:
    """Send all under other names, then rename; what is replaced is kept until all are, and comes back if one fails."""
    mark = uuid.uuid4().hex
    kept: list[str] = []
    begun: list[str] = []
    try:
        for path, target in files.items():
            system.makedirs(posixpath.dirname(target), exist_ok=True)
            system.put_file(str(path), f"{target}.{mark}.part")
        for target in files.values():
            if system.exists(target):
                system.copy(target, f"{target}.{mark}-old.part")
                kept.append(target)
        for target in files.values():
            begun.append(target)
            system.mv(f"{target}.{mark}.part", target)
    except BaseException:
        for target in begun:
            with suppress(OSError):
                if target in kept:
                    system.copy(f"{target}.{mark}-old.part", target)
                else:
                    system.rm_file(target)
        raise
    finally:
        for target in files.values():
            for partial in (f"{target}.{mark}.part", f"{target}.{mark}-old.part"):
                with suppress(OSError):
                    system.rm_file(partial)

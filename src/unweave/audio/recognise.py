"""What a file seems to be, from its first bytes: for messages, and for extensions that are not only audio's."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path

from unweave.audio.atoms import read_atoms
from unweave.audio.formats import READABLE_EXTENSIONS
from unweave.audio.sources import Source
from unweave.errors import AudioReadError

# First bytes → what kind of file it is, and the same in words, for files that people take for audio by mistake.
OTHER_FILES = (
    (
        b"version https://git-lfs.github.com/",
        "text",
        "it is a Git LFS pointer; fetch the file itself with git lfs pull",
    ),
    (b"MThd", "midi", "it is a MIDI file, which contains notes but no sound"),
    (b"PK\x03\x04", "archive", "it is a zip archive; unpack it first"),
    (b"PK\x05\x06", "archive", "it is an empty zip archive"),
    (b"Rar!\x1a\x07", "archive", "it is a rar archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "archive", "it is a 7z archive; unpack it first"),
    (b"\x1f\x8b", "archive", "it is a gzip file; unpack it first"),
    (b"%PDF-", "text", "it is a PDF document"),
    (b"\x89PNG\r\n\x1a\n", "picture", "it is a picture"),
    (b"\xff\xd8\xff", "picture", "it is a picture"),
    (b"GIF8", "picture", "it is a picture"),
    (b"#EXTM3U", "playlist", "it is a playlist; name the files in it instead"),
    (b"[playlist]", "playlist", "it is a playlist; name the files in it instead"),
    (b"\x7fELF", "program", "it is a program"),
)
HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<?xml")
FRAGMENTS = (b"moov", b"moof")  # an MP4 file needs one of them

# Extensions that other files have too: TypeScript, device trees, project files.
DOUBTFUL_EXTENSIONS = frozenset(
    {"ts", "mts", "m2ts", "m2t", "dts", "mpc", "amr", "au", "snd", "spx", "ra", "rm", "voc"}
)
START_BYTES = 4096
TRANSPORT_PACKETS = (188, 192, 204)  # bytes, each beginning with 0x47; 192 has a time stamp of 4 bytes in front
STARTS = {
    "dts": (b"\x7f\xfe\x80\x01", b"\xfe\x7f\x01\x80", b"\x1f\xff\xe8\x00", b"\xff\x1f\x00\xe8", b"DTSHDHDR", b"RIFF"),
    "mpc": (b"MP+", b"MPCK", b"ID3"),
    "amr": (b"#!AMR",),
    "au": (b".snd", b"dns."),
    "snd": (b".snd", b"dns.", b"FORM", b"RIFF"),
    "spx": (b"OggS",),
    "ra": (b".ra\xfd", b".RMF"),
    "rm": (b".RMF", b".ra\xfd"),
    "voc": (b"Creative Voice File",),
}


def is_audio_name(name: str) -> bool:
    """Whether a file called ``name`` counts as audio when a folder is searched."""
    return not name.startswith(".") and _extension(name) in READABLE_EXTENSIONS


def is_doubtful(name: str) -> bool:
    """Whether the extension of ``name`` has other uses, as ``.ts`` has, so that `begins_right` must decide."""
    return _extension(name) in DOUBTFUL_EXTENSIONS


def begins_right(name: str, head: bytes) -> bool:
    """Whether ``head``, the first `START_BYTES` of a file with a doubtful extension, is the beginning of audio."""
    starts = STARTS.get(_extension(name))
    return _is_transport_stream(head) if starts is None else head.startswith(starts)


def is_audio_file(path: Path) -> bool:
    """Whether a file found in a folder is worth trying: its extension is one of audio, and its beginning fits.

    The file is opened only where its extension is doubtful; one that cannot be opened then is not worth trying.
    """
    if not is_audio_name(path.name):
        return False
    if not is_doubtful(path.name):
        return True
    try:
        with path.open("rb") as file:
            return begins_right(path.name, file.read(START_BYTES))
    except OSError:
        return False


def describe(source: Source) -> str | None:
    """Why a file that cannot be read is no audio file, in a few words; None where nothing is known."""
    _, words = _seen(source)
    return words or None


def kind_of(source: Source) -> str:
    """What kind of file one is that cannot be read.

    ``empty``, ``cut_off``, ``web_page``, ``text``, one of `OTHER_FILES`, or nothing where that is not plain to see.
    """
    kind, _ = _seen(source)
    return kind


def _seen(source: Source) -> tuple[str, str]:
    head = source.head
    if not head:
        return "empty", "it is empty"
    if not any(head):
        return "cut_off", "it contains nothing but zeros; the download or copy was probably cut off"
    start = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(HTML_STARTS):
        return "web_page", "it is a web page, not audio; the download probably failed"
    for magic, kind, words in OTHER_FILES:
        if head.startswith(magic):
            return kind, words
    if head[4:8] in (b"ftyp", b"mdat", b"wide", b"free", b"skip") and _lacks_index(source):
        words = "its index (the moov atom) is missing; the recording or download was probably cut off"
        return "cut_off", words
    if _is_text(head):
        return "text", "it is a text file"
    return "", ""


def unreadable(source: Source, why: str) -> AudioReadError:
    """The error for a file that cannot be read: what it is, if that is plain to see, or else ``why``."""
    return AudioReadError(f"cannot read {source.name}: {describe(source) or why}")


def no_such_track(name: str, n_tracks: int, number: int) -> AudioReadError:
    """The error for a file with ``n_tracks`` that was asked for track ``number`` (from 0)."""
    count = f"{n_tracks} audio tracks" if n_tracks > 1 else "one audio track"
    return AudioReadError(f"cannot read {name}: it has {count}, there is no track {number + 1}")


def _extension(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def _lacks_index(source: Source) -> bool:
    if not source.is_seekable:
        return False
    kinds = []
    with closing(source.file()) as file, suppress(ValueError):  # where it is cut off in the middle of an atom
        for atom in read_atoms(file):
            kinds.append(atom.kind)
    return not any(kind in FRAGMENTS for kind in kinds)


def _is_transport_stream(head: bytes) -> bool:
    for size in TRANSPORT_PACKETS:
        for offset in (0, 4):
            syncs = head[offset : offset + 5 * size : size]
            if len(syncs) == 5 and set(syncs) == {0x47}:
                return True
    return False


def _is_text(head: bytes) -> bool:
    try:
        text = head[:4096].decode()
    except UnicodeDecodeError as error:
        if error.start < len(head[:4096]) - 4:
            return False
        text = head[: error.start].decode()
    return all(character.isprintable() or character in "\t\r\n\f" for character in text)

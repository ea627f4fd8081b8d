"""Archives from strangers: nothing leaves the folder, nothing fills the disk, and damage is one line."""

import gzip
import io
import random
import shutil
import stat
import tarfile
import tracemalloc
import zipfile

import pytest

from tests.helpers.toys import TOY, write_toy
from unweave.errors import CheckpointError, DownloadError, ModelError
from unweave.families import add
from unweave.families.add import add_model
from unweave.families.brought import holds_checkpoints
from unweave.models import archives
from unweave.models.added import added_model_folder, added_names
from unweave.models.archives import ArchiveError, members
from unweave.models.fetch import unpack
from unweave.models.spec import Weights, WeightsFile

EVIL_NAMES = [
    "..\\..\\evil.json", "C:\\evil.json", "C:evil.json", "c:/evil.json", "a\\model.json", "\\\\host\\share\\evil.json",
    "bell\x07.json", "new\nline.json",
]  # fmt: skip


@pytest.fixture
def files(tmp_path, cache):
    """The files of a good model, by name."""
    (tmp_path / "good").mkdir()
    path = write_toy(tmp_path / "good", TOY)
    found = {file.name: file.read_bytes() for file in (path.parent / "weights").iterdir()}
    return {**found, "config.json": path.read_bytes()}


def tarred(path, files, *members):
    with tarfile.open(path, "w:gz") as archive:
        for name, raw in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
        for member in members:
            archive.addfile(member)
    return path


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    return path


def refused(origin):
    with pytest.raises(ModelError) as caught:
        add_model("mine", origin)
    assert "\n" not in str(caught.value)
    assert added_names() == []
    return str(caught.value)


@pytest.mark.parametrize("name", EVIL_NAMES)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_paths_of_other_systems_are_refused(files, tmp_path, cache, kind, name):
    before = set(tmp_path.rglob("*"))
    path = tmp_path / f"evil.{kind}"
    (tarred if kind == "tar" else zipped)(path, {**files, name: b"{}"})
    assert "path for another operating system" in refused(path)
    assert {each for each in tmp_path.rglob("*") if cache not in (each, *each.parents)} - before == {path}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_links_and_devices_are_not_followed(files, tmp_path, kind):
    secret = tmp_path / "secret.json"
    secret.write_bytes(files.pop("config.json"))
    member = tarfile.TarInfo("config.json")
    member.type, member.linkname = kind, str(secret)
    assert "--config" in refused(tarred(tmp_path / "links.tar.gz", files, member))


@pytest.mark.parametrize("name", ["model", "model.ckpt"])
def test_what_is_neither_a_file_nor_a_folder_is_not_read(tmp_path, cache, name):
    """Of /dev/zero there is no end: 16 GB of memory were taken, and no signal was heard."""
    (tmp_path / name).symlink_to("/dev/null")
    with pytest.raises(CheckpointError, match=f"{name} cannot be used .*: it is not a file"):
        holds_checkpoints(tmp_path / name)
    assert "it is not a file" in refused(tmp_path / name)


def test_links_in_a_zip_are_not_followed(files, tmp_path):
    path = zipped(tmp_path / "links.zip", {name: raw for name, raw in files.items() if name != "config.json"})
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("config.json")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert "--config" in refused(path)


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_bombs_are_refused(files, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(add, "MAX_BYTES", 1_000_000)
    path = tmp_path / f"bomb.{kind}"
    (tarred if kind == "tar" else zipped)(path, {**files, "zeros.txt": bytes(2_000_000)})
    assert "more data than a model can have" in refused(path)


def test_two_files_of_one_name_are_refused(files, tmp_path):
    origin = tarred(tmp_path / "twice.tar.gz", {**files, "a/config.json": files["config.json"]})
    assert "several files called config.json" in refused(origin)


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("seed", range(12))
def test_damaged_archives_are_one_line_or_right(files, tmp_path, kind, seed):
    path = tmp_path / f"damaged.{kind}"
    (tarred if kind == "tar" else zipped)(path, files)
    raw, chance = bytearray(path.read_bytes()), random.Random(seed)
    if seed % 3 == 0:
        del raw[chance.randrange(len(raw)) :]
    for _ in range(1 + seed % 4):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    path.write_bytes(raw)
    try:
        add_model("mine", path)
    except ModelError as error:
        message = str(error)
    else:
        message = ""
    folder = added_model_folder("mine")
    if message:
        assert "\n" not in message
        assert not folder.exists()
    else:
        assert all((folder / name).read_bytes() == raw for name, raw in files.items() if name.startswith("model."))


def test_an_encrypted_zip_is_one_line(files, tmp_path):
    path = zipped(tmp_path / "locked.zip", files)
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        position = -1
        while (position := raw.find(signature, position + 1)) >= 0:
            raw[position + offset] |= 1
    path.write_bytes(raw)
    assert "encrypted" in refused(path)


@pytest.mark.parametrize("kind", ["tar", "zip", "wav", "empty", "truncated"])
def test_what_is_no_archive_of_the_weights_is_one_line(files, tmp_path, kind):
    weights = Weights("toy", (WeightsFile("model.index", "0" * 64, 10), WeightsFile("model.data", "0" * 64, 10)))
    path = tmp_path / f"origin.{kind}"
    target = tmp_path / "target"
    target.mkdir()
    content = {"wav": b"RIFF....WAVEfmt " * 10, "empty": b""}.get(kind)
    if content is None:
        (zipped if kind == "zip" else tarred)(path, {"model.index": bytes(1000), "other": b""})
        content = path.read_bytes()[: -20 if kind == "truncated" else None]
    path.write_bytes(content)
    with pytest.raises(DownloadError) as caught:
        unpack(path, weights, target)
    assert "\n" not in str(caught.value)
    assert sum(file.stat().st_size for file in target.iterdir()) < 100_000


def test_a_member_larger_than_the_official_file_is_not_read_on(tmp_path):
    weights = Weights("toy", (WeightsFile("a", "0" * 64, 10), WeightsFile("b", "0" * 64, 10)))
    origin = zipped(tmp_path / "bomb.zip", {"a": bytes(50_000_000), "b": b""})
    (tmp_path / "target").mkdir()
    with pytest.raises(DownloadError, match="not the official one"):
        unpack(origin, weights, tmp_path / "target")
    assert (tmp_path / "target" / "a").stat().st_size < 1_000_000
    shutil.rmtree(tmp_path / "target")


def tar_of(path, *entries):
    """A compressed tar file of headers (kind, stated size), each with so many zeros behind it."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        for kind, size in entries:
            info = tarfile.TarInfo("entry")
            info.type, info.size = kind, size
            file.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(-(-size // 512) * 512))
        file.write(bytes(1024))
    return path


EXTENSIONS = {
    "a name": tarfile.GNUTYPE_LONGNAME,
    "a link": tarfile.GNUTYPE_LONGLINK,
    "a comment": tarfile.XHDTYPE,
    "a comment on all": tarfile.XGLTYPE,
}


@pytest.mark.parametrize("kind", EXTENSIONS)
def test_a_name_of_gigabytes_is_not_read(tmp_path, kind):
    """Python reads such an entry whole; compressed, four gigabytes of it are a few megabytes."""
    origin = tar_of(tmp_path / "long.tar.gz", (EXTENSIONS[kind], 40 << 20), (tarfile.REGTYPE, 0))
    tracemalloc.start()
    with pytest.raises(ArchiveError, match="more data than a model can have"):
        list(members(origin, 1 << 30))
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_long_name_is_read(tmp_path, form):
    with tarfile.open(tmp_path / "long.tar.gz", "w:gz", format=form) as archive:
        info = tarfile.TarInfo(f"{'folder/' * 50}{'ä' * 200}.json")
        archive.addfile(info)
    assert [member.name for member in members(tmp_path / "long.tar.gz", 10)] == ["ä" * 200 + ".json"]


def test_entries_that_are_no_files_count(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 10)
    folders = [(tarfile.DIRTYPE, 0)] * 11
    for entries, limit in ((folders, 10), ([(b"Z", 1 << 20), (tarfile.REGTYPE, 0)], 1000)):
        with pytest.raises(ArchiveError, match="more data than a model can have"):
            list(members(tar_of(tmp_path / "odd.tar.gz", *entries), limit))
    assert not list(members(tar_of(tmp_path / "odd.tar.gz", *folders[1:]), 10))

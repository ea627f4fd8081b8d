"""What is told of an address: the keys in it are nobody else's business."""

import pytest

from unweave.errors import DownloadError
from unweave.models.addresses import without_keys
from unweave.models.catalogue import Download, EntryFile
from unweave.models.hub import ensure_weights
from unweave.models.obtain import obtain
from unweave.models.spec import Source


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("ftp://band:se@cret@host/songs", "ftp://band@host/songs"),
        ("sftp://:secret@host/songs", "sftp://@host/songs"),
        ("simplecache::smb://band:secret@host/a@b", "simplecache::smb://band@host/a@b"),
        ("https://secret@host/a", "https://host/a"),
        ("HTTP://band:secret@host:80/a", "HTTP://host:80/a"),
        ("tried https://host/a.gz?sig=secret: [Errno 111]", "tried https://host/a.gz?…: [Errno 111]"),
        ("http://u:secret@a/x; http://u:secret@b/x", "http://a/x; http://b/x"),
        # in which nothing is a secret
        ("abfss://container@account.dfs.core.windows.net/a", "abfss://container@account.dfs.core.windows.net/a"),
        ("s3://bucket/what?/live@home: 1.mp3", "s3://bucket/what?/live@home: 1.mp3"),
        ("http://127.0.0.1:8000/a@b", "http://127.0.0.1:8000/a@b"),
        ("C:\\songs\\a@b: c.mp3", "C:\\songs\\a@b: c.mp3"),
    ],
)
def test_what_is_told_of_an_address(address, told):
    assert without_keys(address) == told


def test_what_could_not_be_fetched_is_told_without_keys(tmp_path, monkeypatch):
    monkeypatch.setenv("UNWEAVE_CACHE", str(tmp_path))
    with pytest.raises(DownloadError, match=r"https://127.0.0.1:1/a.tar.gz\?…") as caught:
        ensure_weights("2stems", origin="https://band:secret@127.0.0.1:1/a.tar.gz?X-Amz-Signature=secret")
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("HF_ENDPOINT", "http://band:secret@127.0.0.1:1")
    file = EntryFile("a.ckpt", (Source("hub", "somebody/models", path="a.ckpt"),), sha256=64 * "0")
    with pytest.raises(DownloadError, match=r"http://127.0.0.1:1/somebody/models/resolve/main/a.ckpt") as caught:
        obtain(Download((file,)), tmp_path / "files", offline=False, progress=lambda done, total, label: None)
    assert "secret" not in str(caught.value)

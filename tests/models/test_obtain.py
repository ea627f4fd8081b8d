"""Files of published models: from a hub or its mirror, from the next source, checked, and with the user's token."""

import hashlib

import numpy as np
import pytest

from tests.helpers.file_server import serving
from unweave.errors import DownloadError
from unweave.models import fetch
from unweave.models.catalogue import Download, Entry, EntryFile, Licence
from unweave.models.model_hub import url_of
from unweave.models.obtain import matching, obtain
from unweave.models.spec import Source

CONTENT = np.random.default_rng(2).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REVISION = "9ba75778acf1b64fc40a9ea05137a2c6af9cd1d5"
HUB = Source("hub", "somebody/models", path="some folder/model.ckpt")
PINNED = Source("hub", "somebody/models", path="model.ckpt", revision=REVISION)


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in ("HF_ENDPOINT", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hub(monkeypatch):
    """A mirror of the hub, which the user's settings point to."""
    paths = ("resolve/main/some%20folder/model.ckpt", f"resolve/{REVISION}/model.ckpt")
    with serving(files={f"/somebody/models/{path}": CONTENT for path in paths}) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"{server.url}/")
        yield server


def wanted(*sources, **fields):
    return Download((EntryFile("kept.ckpt", sources, **{"sha256": SHA256, "size": len(CONTENT), **fields}),))


def brought(folder, *sources, offline=False, **fields):
    obtain(wanted(*sources, **fields), folder, offline=offline, progress=lambda done, total, label: None)
    return (folder / "kept.ckpt").read_bytes()


def test_addresses_at_the_hub():
    assert url_of(PINNED) == f"https://huggingface.co/somebody/models/resolve/{REVISION}/model.ckpt"
    assert url_of(HUB) == "https://huggingface.co/somebody/models/resolve/main/some%20folder/model.ckpt"


@pytest.mark.parametrize("source", [HUB, PINNED])
def test_a_mirror_is_used(tmp_path, hub, source):
    assert brought(tmp_path, source) == CONTENT
    assert hub.requests == [(url_of(source).removeprefix(hub.url), None)]
    assert [path.name for path in tmp_path.iterdir()] == ["kept.ckpt"]


def test_the_token_is_shown_to_the_hub(tmp_path, hub, monkeypatch):
    hub.token = "secret"
    with pytest.raises(DownloadError, match=r"401.*set HF_TOKEN"):
        brought(tmp_path, HUB)
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert brought(tmp_path, HUB) == CONTENT
    assert hub.requests[-1][1] == "Bearer secret"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_token_is_shown_to_no_other_host(tmp_path, hub, monkeypatch, host):
    """Hubs redirect to where the files lie; and a file elsewhere is nobody's business."""
    monkeypatch.setenv("HF_TOKEN", "secret")
    with serving(files={"/storage/model.ckpt": CONTENT}) as other:
        path = "/somebody/models/resolve/main/some%20folder/model.ckpt"
        hub.redirects[path] = f"http://{host}:{other.port}/storage/model.ckpt"
        assert brought(tmp_path / "a", HUB) == CONTENT
        assert brought(tmp_path / "b", Source("file", f"{other.url}/storage/model.ckpt")) == CONTENT
        assert other.requests == [("/storage/model.ckpt", None)] * 2
    assert hub.requests == [(path, "Bearer secret")]


def test_the_next_source_is_tried(tmp_path, hub):
    dead = Source("file", "http://127.0.0.1:9/model.ckpt")
    absent = Source("hub", "nobody/models", path="model.ckpt")
    assert brought(tmp_path, dead, absent, PINNED) == CONTENT


def test_what_is_not_the_published_file_is_refused(tmp_path, hub):
    with serving(files={"/model.ckpt": CONTENT[:-1] + b"!"}) as other:
        wrong = Source("file", f"{other.url}/model.ckpt")
        with pytest.raises(DownloadError, match="SHA-256 differs"):
            brought(tmp_path, wrong)
        assert not list(tmp_path.iterdir())
        assert brought(tmp_path, wrong, HUB) == CONTENT


@pytest.mark.parametrize(
    ("sha256", "message"), [("0" * 8, "SHA-256 that begins with 00000000"), ("", "expected 600000 bytes")]
)
def test_without_a_whole_checksum_a_pinned_file_is_held_against_what_is_known(tmp_path, hub, sha256, message):
    assert brought(tmp_path / "right", PINNED, sha256=SHA256[: len(sha256)]) == CONTENT
    with pytest.raises(DownloadError, match=message):
        brought(tmp_path / "wrong", PINNED, sha256=sha256, size=600_000)
    assert not list((tmp_path / "wrong").iterdir())


@pytest.mark.parametrize("sha256", [SHA256[:8], ""])
def test_without_a_whole_checksum_nothing_that_may_change_is_fetched(tmp_path, hub, sha256):
    assert not wanted(HUB, Source("file", hub.url), sha256=sha256).is_fetchable
    assert wanted(HUB, PINNED, sha256=sha256).is_fetchable
    assert wanted(Source("file", "https://zenodo.org/records/1/files/x.pth"), sha256=sha256).is_fetchable
    with pytest.raises(DownloadError):
        brought(tmp_path, HUB, sha256=sha256)
    assert hub.requests == []


def test_a_download_that_breaks_off_goes_on(tmp_path, hub, monkeypatch):
    monkeypatch.setattr(fetch, "TRIES", 1)
    hub.breaks = 1
    with pytest.raises(DownloadError, match="connection was lost"):
        brought(tmp_path, HUB)
    assert not (tmp_path / "kept.ckpt").exists()
    assert brought(tmp_path, HUB) == CONTENT
    assert len(hub.requests) == 2


def test_offline_opens_no_connection(tmp_path, hub):
    with pytest.raises(DownloadError, match="offline"):
        brought(tmp_path, HUB, Source("file", hub.url), offline=True)
    assert hub.requests == []


def test_a_file_that_is_there_is_not_fetched_again(tmp_path, hub):
    brought(tmp_path, HUB)
    brought(tmp_path, HUB)
    assert len(hub.requests) == 1


def test_files_are_told_by_what_is_in_them(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(CONTENT)
    two.write_bytes(CONTENT[::-1])
    files = (EntryFile("a", (HUB,), sha256=SHA256), EntryFile("b", (HUB,), size=len(CONTENT) - 100))
    entry = Entry("toy", "mdx", ("vocals",), "", Licence(), downloads=(Download(files[:1]), Download(files)))
    assert matching(entry, [one]) is entry.downloads[0]
    assert matching(entry, [two, one]) is entry.downloads[1]
    assert matching(entry, [two]) is None
    assert matching(entry, [one, two, two]) is None

"""Spleeter's providers: a folder of a model is whole or not there."""

import hashlib

import pytest

from tests.models.test_hub import CONTENT, archive, server, url, weights_from  # noqa: F401 - fixtures
from unweave.compat.spleeter import SpleeterError
from unweave.compat.spleeter.model.provider import ModelProvider, get_default_model_provider, github
from unweave.compat.spleeter.model.provider.github import GithubModelProvider, compute_file_checksum
from unweave.models.spec import Source


@pytest.fixture
def from_server(monkeypatch, url, archive, cache):  # noqa: F811
    """The only place that has the toy's weights; the provider looks elsewhere first, where nothing listens."""
    for name, value in (("HOST", "http://127.0.0.1:9"), ("REPOSITORY", "me/fork"), ("RELEASE", "v2")):
        monkeypatch.setenv(f"GITHUB_{name}", value)
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(github, "find_weights", lambda name: weights_from(Source("archive", url, sha256)))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_download_arrives_whole_and_leaves_nothing_beside(from_server, tmp_path):
    target = tmp_path / "pretrained_models" / "toy"
    GithubModelProvider.from_environ().download("toy", str(target))
    assert contents(target) == {**CONTENT, ".probe": b"OK"}
    assert [path.name for path in target.parent.iterdir()] == ["toy"]


def test_a_download_that_fails_leaves_what_was_there(from_server, server, tmp_path):  # noqa: F811
    server.path.write_bytes(server.path.read_bytes()[:1000])
    target = tmp_path / "toy"
    target.mkdir()
    (target / "model.index").write_bytes(b"mine")
    with pytest.raises(SpleeterError):
        GithubModelProvider.from_environ().download("toy", str(target))
    assert contents(target) == {"model.index": b"mine"}
    with pytest.raises(SpleeterError):
        GithubModelProvider.from_environ().download("toy", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_provider_of_another_place_asks_there_first(from_server, server, archive, tmp_path):  # noqa: F811
    provider = GithubModelProvider(f"http://127.0.0.1:{server.server_address[1]}", "me/fork", "v2")
    provider.download("toy", str(tmp_path / "toy"))
    assert contents(tmp_path / "toy") == {**CONTENT, ".probe": b"OK"}
    assert provider.checksum("toy") == compute_file_checksum(str(archive))
    server.path.write_bytes(b"")
    with pytest.raises(SpleeterError, match=r"127\.0\.0\.1:9/me/fork/releases/download/v2/toy\.tar\.gz.*127\.0\.0\.1"):
        GithubModelProvider.from_environ().download("toy", str(tmp_path / "other"))


def test_a_key_in_an_address_is_in_no_message(from_server, server, tmp_path):  # noqa: F811
    server.path.write_bytes(b"")
    provider = GithubModelProvider("http://band:secret@127.0.0.1:9", "me/fork", "v2")
    with pytest.raises(SpleeterError, match=r"http://127\.0\.0\.1:9/me/fork") as caught:
        provider.download("toy", str(tmp_path / "toy"))
    assert "secret" not in str(caught.value)


def test_where_scripts_look_for_the_official_archives(monkeypatch):
    """They download them by themselves, with the names of the original's provider."""
    for name in ("HOST", "REPOSITORY", "RELEASE"):
        monkeypatch.delenv(f"GITHUB_{name}", raising=False)
    provider = get_default_model_provider()
    assert isinstance(provider, GithubModelProvider)
    assert type(ModelProvider.default()) is GithubModelProvider
    parts = (provider._host, provider._repository, provider.RELEASE_PATH, provider._release)
    assert "/".join(parts) == "https://github.com/deezer/spleeter/releases/download/v1.4.0"
    assert provider.checksum("2stems").startswith("f3a90b39")
    with pytest.raises(SpleeterError, match="no weights called '3stems'"):
        provider.checksum("3stems")


class OwnProvider(ModelProvider):
    """As a user writes one: it defines `download`, and `get` asks it."""

    def __init__(self, fails=False):
        self.asked, self.fails = [], fails

    def download(self, name, path):
        self.asked.append(name)
        with open(f"{path}/model.index", "w") as file:
            file.write("half")
        if self.fails:
            raise OSError(28, "No space left on device")


def test_a_provider_of_ones_own_is_asked_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = OwnProvider()
    assert own.get("mine") == own.get("mine") == "pretrained_models/mine"
    assert own.asked == ["mine"]
    assert contents(tmp_path / "pretrained_models" / "mine") == {"model.index": b"half", ".probe": b"OK"}


def test_what_a_provider_left_half_done_is_not_kept(tmp_path):
    with pytest.raises(SpleeterError, match="No space left"):
        OwnProvider(fails=True).get(str(tmp_path / "mine"))
    assert list(tmp_path.iterdir()) == []

"""Spleeter's providers: a folder of a model is whole or not there."""

import pytest

from tests.models.test_hub import CONTENT, archive, server, url, weights_from  # noqa: F401 - fixtures
from unweave.compat.spleeter import SpleeterError
from unweave.compat.spleeter.model import provider
from unweave.compat.spleeter.model.provider import GithubModelProvider, ModelProvider
from unweave.models.spec import Source


@pytest.fixture
def from_server(monkeypatch, url, cache):  # noqa: F811
    monkeypatch.setattr(provider, "find_weights", lambda name: weights_from(Source("archive", url)))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_download_arrives_whole_and_leaves_nothing_beside(from_server, tmp_path):
    target = tmp_path / "pretrained_models" / "toy"
    GithubModelProvider().download("toy", str(target))
    assert contents(target) == {**CONTENT, ".probe": b"OK"}
    assert [path.name for path in target.parent.iterdir()] == ["toy"]


def test_a_download_that_fails_leaves_what_was_there(from_server, server, tmp_path):  # noqa: F811
    server.path.write_bytes(server.path.read_bytes()[:1000])
    target = tmp_path / "toy"
    target.mkdir()
    (target / "model.index").write_bytes(b"mine")
    with pytest.raises(SpleeterError):
        GithubModelProvider().download("toy", str(target))
    assert contents(target) == {"model.index": b"mine"}
    with pytest.raises(SpleeterError):
        GithubModelProvider().download("toy", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


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

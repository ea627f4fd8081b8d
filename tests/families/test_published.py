"""Models of the list from a server of our own: fetched when they are wanted, checked, added, and asked for once."""

import hashlib
import json

import numpy as np
import pytest
from click.testing import CliRunner

from tests.families.bag.test_bag import SIGNATURES, member
from tests.helpers.file_server import serving
from tests.helpers.signals import tones
from tests.helpers.toy_catalogue import forget, listed
from unweave import ConsentError, DownloadError, ModelError, Separator
from unweave.cli.main import app
from unweave.models.added import added_model_folder, added_names
from unweave.models.catalogue import find_entry
from unweave.models.foreign import ARRAYS
from unweave.models.resolve import resolve

MIT = {"name": "MIT", "stated_in": "here", "stated_on": "2026"}
STEMS = ["drums", "bass", "other", "vocals"]


@pytest.fixture
def run(cache):
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def catalogue(tmp_path, monkeypatch, cache, server):
    """Four toys: free; of unknown licence; a bag, whose first source is dead; and one that only users can bring."""
    monkeypatch.delenv("UNWEAVE_ACCEPT_LICENCE", raising=False)

    def file(name, seed, *dead):
        content = member(tmp_path / name, seed).read_bytes()
        server.files[f"/{name}"] = content
        sha256 = hashlib.sha256(content).hexdigest()
        return {"name": name, "size": len(content), "sha256": sha256, "sources": [*dead, f"{server.url}/{name}"]}

    free = file("955717e8-1.th", 0)
    bag = [file(f"{signature}-2.th", k, "http://127.0.0.1:9/dead.th") for k, signature in enumerate(SIGNATURES)]
    unknown = {**free, "sha256": ""}
    models = [
        {"name": "toy", "licence": MIT, "aliases": ["955717e8-1.th"], "downloads": [{"files": [free]}]},
        {"name": "silent", "licence": {"name": "unknown"}, "downloads": [{"files": [free]}]},
        {"name": "bag", "family": "bag", "licence": MIT, "downloads": [{"files": bag}]},
        {"name": "brought", "licence": {"name": "unknown"}, "downloads": [{"files": [unknown]}]},
    ]
    scores = [{"test_set": "ours", "SDR": {"vocals": 9.5}, "source": "here"}]
    usual = {"family": "htdemucs", "stems": STEMS, "summary": "a toy", "scores": scores, "recommended": True}
    listed(monkeypatch, tmp_path / "catalogue", *({**usual, **model} for model in models))
    yield tmp_path
    monkeypatch.undo()
    forget()


def error_line(result):
    *progress, line = result.stderr.splitlines()
    assert result.exit_code == 1
    assert not [each for each in progress if "error" in each]
    return line


def test_fetched_when_it_is_first_wanted(catalogue, server):
    mixture = tones(2000)
    stems = Separator("toy").separate(mixture, 44100)
    assert list(stems) == STEMS
    server.files.clear()
    np.testing.assert_array_equal(Separator("955717e8-1.th").separate(mixture, 44100)["drums"], stems["drums"])
    assert server.paths == ["/955717e8-1.th"]
    assert not list((catalogue / "cache" / "downloads").glob("[!.]*")), "the pickle is not kept"
    assert resolve("toy").spec.licence == "MIT"


def test_the_command_fetches_and_says_where(catalogue, run, server):
    result = run("models", "fetch", "955717E8-1.th")
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [str(added_model_folder("toy"))]
    assert run("models", "path", "toy").stdout.split() == [str(added_model_folder("toy"))]
    assert run("models", "fetch", "toy").exit_code == 0
    assert len(server.paths) == 1


def test_a_bag_comes_whole_or_not_at_all(catalogue, run, server):
    content = server.files.pop("/04573f0d-2.th")
    assert "404" in error_line(run("models", "fetch", "bag"))
    assert added_names() == []
    server.files["/04573f0d-2.th"] = content
    assert run("models", "fetch", "bag").exit_code == 0
    assert sorted(server.paths) == sorted([*(f"/{name}-2.th" for name in SIGNATURES), "/04573f0d-2.th"])
    assert Separator("bag").stems == tuple(STEMS)


def test_an_unknown_licence_is_asked_for_once(catalogue, run, server):
    assert "does not say what it may be used for" in error_line(run("models", "fetch", "silent"))
    with pytest.raises(ConsentError):
        Separator("silent")
    assert server.paths == []
    assert run("models", "fetch", "silent", "--accept_licence").exit_code == 0
    assert Separator("silent").stems == tuple(STEMS)


def test_what_came_wrong_is_not_kept(catalogue, run, server):
    server.files["/955717e8-1.th"] = server.files["/955717e8-1.th"][:-1] + b"!"
    assert "SHA-256 differs" in error_line(run("models", "fetch", "toy"))
    assert added_names() == []
    assert not [path for path in (catalogue / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_damaged_model_is_fetched_again(catalogue, run, server):
    before = Separator("toy").separate(tones(2000), 44100)["drums"]
    path = added_model_folder("toy") / ARRAYS
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(raw)
    assert not {model["name"]: model for model in json.loads(run("models", "list", "--format", "json").stdout)}["toy"][
        "here"
    ]
    np.testing.assert_array_equal(Separator("toy").separate(tones(2000), 44100)["drums"], before)
    assert len(server.paths) == 2


def test_offline(catalogue, run, server):
    assert "offline" in error_line(run("models", "fetch", "toy", "--offline"))
    with pytest.raises(DownloadError, match="offline"):
        Separator("toy", offline=True)
    assert "not on this machine (0 MB): run 'unweave models fetch toy'" in error_line(run("models", "path", "toy"))
    assert server.paths == []


def test_what_cannot_be_checked_is_brought_by_hand(catalogue, run, server, tmp_path):
    line = error_line(run("models", "fetch", "brought"))
    assert f"download 955717e8-1.th from {server.url}/955717e8-1.th yourself" in line
    assert "unweave models add brought 955717e8-1.th" in line
    assert line.removeprefix("unweave: error: ") in run("models", "info", "brought").stdout
    assert run("models", "add", "brought", tmp_path / "955717e8-1.th").exit_code == 0
    with pytest.raises(ConsentError):
        Separator("brought")
    assert Separator("brought", accept_licence=True).stems == tuple(STEMS)
    assert server.paths == []


def test_a_listed_name_is_given_to_the_listed_file_only(catalogue, run, tmp_path):
    member(tmp_path / "other.th", 7)
    assert "other.th is not that file: add it under another name" in error_line(
        run("models", "add", "toy", tmp_path / "other.th")
    )
    assert "the name of an official model" in error_line(run("models", "add", "htdemucs", tmp_path / "other.th"))
    assert run("models", "add", "mine", tmp_path / "other.th").exit_code == 0
    assert added_names() == ["mine"]


def test_a_file_of_that_name_is_a_file(catalogue, tmp_path, monkeypatch):
    """Other tools' names of ONNX files are names, unless such a file lies here."""
    entry = find_entry("toy")
    monkeypatch.setattr("unweave.models.resolve.find_entry", lambda name: entry if name in ("x.onnx", "toy") else None)
    monkeypatch.chdir(tmp_path)
    assert resolve("x.onnx").spec.name == "toy"
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"x\.onnx"):
        resolve("x.onnx")


def test_the_list_for_programs(catalogue, run):
    assert run("models", "fetch", "toy").exit_code == 0
    models = {model["name"]: model for model in json.loads(run("models", "list", "--all", "--format", "json").stdout)}
    assert models["toy"] == {
        "name": "toy", "aliases": ["955717e8-1.th"], "family": "htdemucs", "author": None, "summary": "a toy",
        "stems": STEMS, "size_bytes": models["silent"]["size_bytes"], "licence": "MIT",
        "licence_stated_in": "here", "licence_stated_on": "2026", "licence_notes": None, "needs_consent": False,
        "scores": [
            {"measure": "SDR", "unit": "dB", "test_set": "ours", "stems": {"vocals": 9.5}, "source": "here"}
        ],
        "here": True, "fetchable": True, "download_bytes": None, "verified": False, "recommended": True,
        "problem": None, "models": [], "rule": None,
    }  # fmt: skip
    assert not models["silent"]["here"]
    assert models["silent"]["download_bytes"] == models["silent"]["size_bytes"]
    assert models["silent"]["needs_consent"]
    assert not models["brought"]["fetchable"]
    assert models["unweave:4stems"]["here"]

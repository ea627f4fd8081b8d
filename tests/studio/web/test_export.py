"""The exported folder: complete, with its licences, and never half-written."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from unweave.cli.main import app
from unweave.models import files as folders
from unweave.studio.web import export

SENTENCE = {"folder": "holds something else than an exported site", "libraries": "run `make web` in a copy"}


def run(folder):
    return CliRunner().invoke(app, ["web", "--export", str(folder)])


def contents(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_every_file_is_kept_for_use_without_a_network(site):
    listing = json.loads((site / "files.js").read_text().removeprefix("self.SITE = ").rstrip(";\n"))
    assert listing["files"] == ["./", *(name for name in contents(site) if name != "files.js")]
    assert {"index.html", "network.onnx", "models.json", "vendor/ort-wasm-simd-threaded.wasm"} < set(listing["files"])
    assert "connect-src 'self'" in (site / "index.html").read_text()


def test_all_licences_are_there(site):
    licences = (site / "licences.txt").read_text()
    for name in (
        "onnxruntime-web 1.",
        "fft.js 4.",
        "fflate 0.",
        "signalsmith-stretch 1.",
        "Geraint Luff",
        "CC BY-SA 4.0",
        "Fedor Indutny",
        "Microsoft Corporation",
        "mediabunny 1.",
        "Xiph.Org Foundation",
    ):
        assert name in licences


def test_both_back_ends_of_the_page_have_the_same_names():
    """What the page imports from the server's api.js it finds in the browser's, too."""
    declared = r"export (?:async )?(?:const|function) (\w+)|export \{([^}]*)\}"
    names = [
        {
            name.strip()
            for found in re.findall(declared, (page / "api.js").read_text())
            for name in ",".join(found).split(",")
        }
        for page in (export.STUDIO_PAGE, export.WEB_PAGE)
    ]
    assert names[0] == names[1]
    assert {"move", "upload", "mixAddress"} < names[0]


def test_an_older_site_is_replaced(site, tmp_path):
    folder = tmp_path / "site"
    assert run(folder).exit_code == 0
    (folder / "words.js").write_text("old")
    done = run(folder)
    assert done.exit_code == 0
    assert "MB" in done.stdout
    assert contents(folder) == contents(site)
    assert (folder / "words.js").read_bytes() == (site / "words.js").read_bytes()


def test_an_older_site_that_cannot_be_replaced_stays(site, tmp_path, monkeypatch):
    """As on Windows, where no folder is renamed while somebody has a file in it open."""
    folder = tmp_path / "site"
    assert run(folder).exit_code == 0
    rename = Path.rename

    def refusing(path, to):
        if path.name.startswith(".unweave-site-") and to == folder and (path / "words.js").read_bytes() != b"old":
            raise PermissionError(13, "Access is denied", str(path))
        return rename(path, to)

    (folder / "words.js").write_bytes(b"old")
    monkeypatch.setattr(folders, "_exchanged", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", refusing)
    refused = run(folder)
    assert refused.exit_code == 1
    assert refused.stderr.endswith("Access is denied\n")
    assert (folder / "words.js").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


@pytest.mark.parametrize(
    "files", [{".git/HEAD": "ref"}, {"CNAME": "example.org"}, {"files.js": "mine", "song.txt": "words"}]
)
def test_nothing_is_lost_that_is_no_part_of_a_site(site, tmp_path, files):
    folder = tmp_path / "site"
    if "files.js" not in files:
        assert run(folder).exit_code == 0
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    done = run(folder)
    assert done.exit_code == 2
    assert f"{folder} holds something else than an exported site ({min(files)})" in done.stderr
    assert all((folder / name).read_text() == text for name, text in files.items())


def test_a_link_to_the_folder_stays(site, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / ".DS_Store").write_text("where icons are")
    assert run(tmp_path / "link").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "real") == contents(site)


@pytest.mark.parametrize("what", ["folder", "libraries"])
def test_what_cannot_be_exported_leaves_everything_as_it_was(site, tmp_path, monkeypatch, what):
    folder = tmp_path / "mine"
    if what == "folder":
        folder.mkdir()
        (folder / "song.txt").write_text("words")
    else:
        monkeypatch.setattr(export, "LIBRARIES", tmp_path / "nowhere")
    before = contents(tmp_path)
    done = run(folder)
    assert done.exit_code == (2 if what == "folder" else 1)
    assert SENTENCE[what] in done.stderr
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == (["mine"] if what == "folder" else [])

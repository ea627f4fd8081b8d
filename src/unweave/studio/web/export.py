"""The site as one folder of files, for any web server or pages host."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from unweave import __version__
from unweave.audio import templates
from unweave.errors import OptionError, UnweaveError
from unweave.models.files import replace_folder
from unweave.studio.web.models import model_card_path, models_card, network_path

STUDIO_PAGE = Path(__file__).parents[1] / "page"
WEB_PAGE = Path(__file__).parent / "page"
SHARED_LIBRARIES = STUDIO_PAGE / "vendor"
LIBRARIES = WEB_PAGE / "vendor"
LICENCES = "licences.txt"  # of the libraries beside it
NETWORK = "network.onnx"
TEMPLATES = "templates"  # of projects for DAWs
FILES = "files.js"  # the last to be written, and how a site of ours is known
LISTING = "self.SITE = "  # how that file begins
LEFT_BY_SYSTEMS = frozenset({".DS_Store", "Thumbs.db"})  # in every folder that somebody looked into

# Nothing may be loaded from, or sent to, any other place.
POLICY = {
    "default-src": "'none'",
    "script-src": "'self' 'wasm-unsafe-eval'",
    "style-src": "'self'",
    "img-src": "'self' blob:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",  # the FLAC encoder's is in its library
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
}
RULES = "; ".join(map(" ".join, POLICY.items()))
HEAD = f"""<meta http-equiv="Content-Security-Policy" content="{RULES}">
<meta name="description" content="Takes a song apart in your browser: nothing is installed, nothing is uploaded.">
<link rel="manifest" href="manifest.webmanifest">
"""
FOOT = """<footer class="note"><a href="licences.txt" data-text="licences">Licences</a></footer>
"""


def export_site(folder: Path) -> int:
    """Write the site to ``folder``, which appears whole or not at all; gives its size in bytes.

    An older site there is replaced. Raises `OptionError` for a folder with anything else in it, which would be lost,
    `UnweaveError` where this installation lacks the libraries, and OSError.
    """
    if not all((libraries / LICENCES).is_file() for libraries in (SHARED_LIBRARIES, LIBRARIES)):
        raise UnweaveError(
            "this installation of unweave lacks the web edition's libraries: run `make web` in a copy of its repository"
        )
    folder = folder.resolve()  # a link stays, and what it leads to is replaced
    _check_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=".unweave-site-", dir=folder.parent))
    try:
        staged.chmod(0o755)
        size = _write_site(staged)
        replace_folder(staged, folder)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    return size


def _check_replaceable(folder: Path) -> None:
    """Raise `OptionError` if something in ``folder`` is no part of an exported site, such as a repository's history."""
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"{folder} is a file; choose an empty or a new folder")
    paths = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    names = {path.relative_to(folder).as_posix() for path in paths if path.name not in LEFT_BY_SYSTEMS}
    others = names - _names_of_site(folder)
    if others:
        raise OptionError(
            f"{folder} holds something else than an exported site ({min(others)}); choose an empty or a new folder"
        )


def _names_of_site(folder: Path) -> set[str]:
    """The files of the site in ``folder``, by its own list; none where there is no list of ours."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        text = (folder / FILES).read_text(encoding="utf-8")
        if text.startswith(LISTING):
            return {FILES, *json.loads(text.removeprefix(LISTING).rstrip(";\n"))["files"]}
    return set()


def _write_site(folder: Path) -> int:
    for page in (STUDIO_PAGE, WEB_PAGE):  # the second replaces api.js
        shutil.copytree(page, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
    _copy_templates(folder / TEMPLATES)
    index = (STUDIO_PAGE / "index.html").read_text(encoding="utf-8")
    index = _inserted(_inserted(index, HEAD, "<title>"), FOOT, "</main>")
    (folder / "index.html").write_text(index.replace("unweave studio", "unweave"), encoding="utf-8")
    shutil.copyfile(network_path(), folder / NETWORK)
    (folder / "models.json").write_text(json.dumps(models_card(), indent=1), encoding="utf-8")
    (folder / LICENCES).write_text(_licences(folder), encoding="utf-8")
    return _list_files(folder)


def _copy_templates(folder: Path) -> None:
    folder.mkdir()
    for path in templates.FOLDER.iterdir():
        if path.suffix in (".xml", ".rpp"):
            shutil.copyfile(path, folder / path.name)


def _inserted(page: str, text: str, before: str) -> str:
    start, found, end = page.partition(before)
    assert found
    return f"{start}{text}{found}{end}"


def _licences(folder: Path) -> str:
    """Of everything in the site: our code, our weights, and the libraries."""
    (folder / "vendor" / LICENCES).unlink()
    runtime = importlib.util.find_spec("onnxruntime")
    assert runtime is not None
    assert runtime.origin is not None
    texts = [
        f"unweave {__version__}: MIT. Its network ({NETWORK}): CC BY-SA 4.0, with credits in its model card below.",
        *((libraries / LICENCES).read_text(encoding="utf-8") for libraries in (SHARED_LIBRARIES, LIBRARIES)),
        model_card_path().read_text(encoding="utf-8"),
    ]
    for name in ("LICENSE", "ThirdPartyNotices.txt"):
        path = Path(runtime.origin).with_name(name)
        if path.is_file():
            texts.append(f"ONNX Runtime, {name}\n\n{path.read_text(encoding='utf-8', errors='replace')}")
    return f"\n\n{'=' * 80}\n\n".join(texts)


def _list_files(folder: Path) -> int:
    """Write what the service worker keeps: all files, under a version that changes with any of them, and the rules."""
    paths = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.as_posix())
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    names = ["./", *(path.relative_to(folder).as_posix() for path in paths)]
    listing = {"version": digest.hexdigest()[:16], "rules": RULES, "files": names}
    (folder / FILES).write_text(f"{LISTING}{json.dumps(listing, indent=1)};\n", encoding="utf-8")
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

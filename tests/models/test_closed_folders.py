"""Homes and caches that cannot be written, read or entered: what can be done is done, with one line about it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import unweave
from tests.helpers.toys import TOY, write_toy
from unweave.families.unet.files import export_onnx
from unweave.families.unet.path import load_unets

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")

SOURCE = Path(unweave.__file__).parents[1]
# The superuser passes every permission; without these two capabilities it does not.
WITHOUT_POWERS = """
import ctypes, os, sys
if sys.platform == "linux":
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.argv[1], sys.argv[1:])
"""
SEPARATE = """
import logging, sys
logging.basicConfig(format="%(message)s", level=logging.WARNING)
import numpy
from unweave import Separator
for _ in range(2):
    separator = Separator(sys.argv[1], device="cpu", offline=True)
stems = separator.separate(numpy.full((2, 20000), 0.1, numpy.float32), 44100)
print(*stems)
"""
CONSENT = """
import logging
logging.basicConfig(format="%(message)s", level=logging.WARNING)
from unweave.models.catalogue.official import find_spec
from unweave.models.consent import require_consent
require_consent(find_spec("htdemucs"), True)
require_consent(find_spec("htdemucs"), False)
print("consented")
"""


@pytest.fixture
def closed(tmp_path):
    """Runs Python code as somebody whom permissions stop; folders are opened again at the end."""
    folders = []
    temporary = tmp_path / "tmp"
    temporary.mkdir()

    def close(folder, mode=0o555):
        folder.mkdir(parents=True, exist_ok=True)
        for each in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
            folders.append(each)
        for each in reversed(folders):
            each.chmod(mode)

    def run(code, *arguments, **environment):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("UNWEAVE", "MODEL", "XDG"))}
        environment = {**kept, "PYTHONPATH": str(SOURCE), "TMPDIR": str(temporary), **environment}
        command = [sys.executable, "-c", WITHOUT_POWERS, sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    run.close, run.temporary = close, temporary
    yield run
    for folder in folders:
        folder.chmod(0o755)


@pytest.mark.parametrize("mode", [0o555, 0o000])
@pytest.mark.parametrize("model", ["unweave:4stems", "unweave:5stems", "4stems"])
def test_the_models_in_the_package_need_no_home(closed, tmp_path, model, mode):
    closed.close(tmp_path / "home", mode)
    done = closed(SEPARATE, model, HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    assert "vocals" in done.stdout
    told = [line for line in done.stderr.splitlines() if "cannot be written" in line]
    assert len(told) == 1
    assert all("UNWEAVE_CACHE" in line for line in told)
    assert not list(closed.temporary.iterdir())


def test_a_checkpoint_in_a_closed_cache_is_converted_elsewhere(closed, tmp_path):
    path = write_toy(tmp_path, TOY)
    closed.close(tmp_path / "cache")
    done = closed(SEPARATE, path, UNWEAVE_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(TOY.stems)
    assert len(done.stderr.splitlines()) == 1
    assert not list(closed.temporary.iterdir())


def test_what_was_prepared_is_used_from_a_closed_cache(closed, tmp_path):
    path = write_toy(tmp_path, TOY)
    assert closed(SEPARATE, path, UNWEAVE_CACHE=str(tmp_path / "cache")).returncode == 0
    closed.close(tmp_path / "cache")
    done = closed(SEPARATE, path, UNWEAVE_CACHE=str(tmp_path / "cache"))
    assert (done.returncode, done.stderr) == (0, "")


def test_no_place_at_all_is_one_line(closed, tmp_path):
    path = write_toy(tmp_path, TOY)
    closed.close(tmp_path / "cache")
    code = SEPARATE + "\n"
    done = closed("import tempfile; tempfile.tempdir = '/proc'\n" + code, path, UNWEAVE_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 1
    assert "ModelError: cannot save the converted network" in done.stderr.splitlines()[-1]
    assert "UNWEAVE_CACHE" in done.stderr.splitlines()[-1]


def test_a_consent_that_cannot_be_kept_holds_for_this_run(closed, tmp_path):
    closed.close(tmp_path / "cache")
    done = closed(CONSENT, UNWEAVE_CACHE=str(tmp_path / "cache"))
    assert (done.returncode, done.stdout) == (0, "consented\n")
    (line,) = done.stderr.splitlines()
    assert "cannot be kept" in line


COMMAND = "import sys; from unweave.cli.main import app; app(sys.argv[1:])"


@pytest.mark.parametrize("mode", [0o555, 0o000])
@pytest.mark.parametrize("what", ["cache", "weights", "added", "graphs", "checksums"])
def test_models_are_listed_whatever_cannot_be_seen(closed, tmp_path, what, mode):
    cache = tmp_path / "cache"
    for name in ("weights/2stems", "added/mine", "graphs", "checksums"):
        (cache / name).mkdir(parents=True)
    (cache / "added" / "mine" / "model.json").write_text("{}")
    closed.close(cache if what == "cache" else cache / what, mode)
    done = closed(COMMAND, "models", "list", UNWEAVE_CACHE=str(cache))
    assert (done.returncode, done.stderr) == (0, "")
    assert "spleeter:2stems" in done.stdout


@pytest.mark.parametrize(
    "command", [["fetch", "2stems", "--offline"], ["path", "2stems"], ["fetch", "2stems", "--from", "."]]
)
@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_weights_that_cannot_be_kept_are_one_line(closed, tmp_path, command, mode):
    closed.close(tmp_path / "cache", mode)
    done = closed(COMMAND, "models", *command, UNWEAVE_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "UNWEAVE_CACHE" in line


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_adding_to_a_closed_cache_is_one_line(closed, tmp_path, mode):
    path = write_toy(tmp_path, TOY)
    closed.close(tmp_path / "cache", mode)
    arguments = ["models", "add", "mine", tmp_path / "weights", "--config", path]
    done = closed(COMMAND, *arguments, UNWEAVE_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "cannot save mine" in line


@pytest.mark.parametrize("kind", ["json", "onnx", "checkpoint"])
def test_models_that_cannot_be_read_are_one_line(closed, tmp_path, kind):
    path = write_toy(tmp_path, TOY)
    export_onnx(load_unets(TOY, tmp_path / "weights"), TOY, tmp_path / "x.onnx")
    if kind == "checkpoint":
        closed.close(tmp_path / "weights", 0o000)
    else:
        path = path if kind == "json" else tmp_path / "x.onnx"
        path.chmod(0o000)
    done = closed(COMMAND, "models", "path", path, UNWEAVE_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1

"""In CI a skip for lack of something is a failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = """
import shutil, pytest
@pytest.mark.skipif(True, reason="needs Chromium")
def test_marked(): pass
def test_within(): pytest.skip("needs the program ffprobe")
def test_import(): pytest.importorskip("no_such_package_at_all")
@pytest.fixture
def missing(): pytest.skip("needs g++")
def test_fixture(missing): pass
"""
ALLOWED = """
import pytest
@pytest.mark.skipif(True, reason="reads /proc")
def test_platform(): pass
def test_right(): pytest.skip("needs the right to mount a tmpfs")
@pytest.mark.xfail(reason="known", strict=True)
def test_known(): raise AssertionError
def test_good(): pass
"""
MODULE = 'import pytest\npytest.importorskip("no_such_package_at_all")\ndef test_x(): pass\n'


def run(tmp_path, text, ci):
    path = tmp_path / "test_it.py"
    path.write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.helpers.skips", "-p", "no:cacheprovider",
               "--rootdir", tmp_path, "-c", os.devnull, path]  # fmt: skip
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "CI": ci}
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("ci", ["", "false"])
def test_elsewhere_they_are_skipped(tmp_path, ci):
    result = run(tmp_path, TESTS, ci)
    assert result.returncode == 0, result.stdout
    assert "4 skipped" in result.stdout


def test_in_ci_they_fail(tmp_path):
    result = run(tmp_path, TESTS, "true")
    assert result.returncode == 1
    assert "2 failed, 2 errors" in result.stdout
    assert "needs the program ffprobe" in result.stdout


def test_in_ci_a_whole_module_fails(tmp_path):
    result = run(tmp_path, MODULE, "true")
    assert result.returncode == 2
    assert "no_such_package_at_all" in result.stdout


def test_what_nothing_can_give_is_skipped_in_ci_too(tmp_path):
    result = run(tmp_path, ALLOWED, "true")
    assert result.returncode == 0, result.stdout
    assert "1 passed, 2 skipped, 1 xfailed" in result.stdout

"""Fixtures: one loaded official model for all tests, and caches of their own for those that fill one."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a worker for each processor: with as many threads in each, they would wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from tests.helpers.skips import pytest_make_collect_report, pytest_runtest_makereport  # noqa: F401 - pytest's hooks
from tests.helpers.toys import write_toy


@pytest.fixture(scope="session")
def separator():
    """The official two-stem model, run as the original runs it.

    Its weights come through the hub, as a user's do, and stay in the user's cache.
    """
    from unweave import Separator

    return Separator("spleeter:2stems", quality="exact")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("UNWEAVE_CACHE", str(folder))
    monkeypatch.delenv("MODEL_PATH", raising=False)
    return folder


@pytest.fixture
def toy_json(tmp_path, cache):
    """The configuration of a toy model, with its checkpoint beside it."""
    folder = tmp_path / "toy"
    folder.mkdir()
    return write_toy(folder)


@pytest.fixture
def toy(toy_json):
    """A loaded toy model: small, fast, and wrong."""
    from unweave import Separator

    return Separator(str(toy_json), threads=2)

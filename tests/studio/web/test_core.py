"""The page's arithmetic, in Node: the stems are those of ``unweave separate``."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.signals import error_db

NODE = shutil.which("node")
SCRIPT = Path(__file__).with_name("separate.mjs")

pytestmark = pytest.mark.skipif(NODE is None, reason="needs Node")


def separated(site, music, tmp_path, model, quality):
    """The page's stems of `music`: (stems, 2, samples)."""
    song, stems = tmp_path / "song.f32", tmp_path / "stems.f32"
    song.write_bytes(music.astype(np.float32).tobytes())
    subprocess.run([NODE, SCRIPT, site, model, quality, song, stems], check=True, timeout=120)
    return np.fromfile(stems, np.float32).reshape(-1, *music.shape)


def test_stems_equal_those_of_the_command(site, music, native_stems, tmp_path):
    stems = separated(site, music, tmp_path, "unweave:5stems", "balanced")
    expected = native_stems("unweave:5stems", "balanced", music)
    for name, stem, reference in zip(expected, stems, expected.values(), strict=True):
        assert error_db(stem, reference) < -80, name
    np.testing.assert_allclose(stems.sum(0), music, atol=1e-6)

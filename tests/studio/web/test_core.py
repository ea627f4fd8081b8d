"""The page's arithmetic, in Node: the stems are those of ``unweave separate``."""

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.signals import error_db
from unweave.models.catalogue import official
from unweave.studio.web.models import models_card

NODE = shutil.which("node")
SCRIPT = Path(__file__).with_name("separate.mjs")
FIVE = "unweave:5stems"

pytestmark = pytest.mark.skipif(NODE is None, reason="needs Node")


@pytest.fixture
def short_segments(monkeypatch):
    """Our network hears segments of 1.5 s instead of 11.9 s, here and in the page: more borders for less work."""
    known = official.specs()
    short = {**known, FIVE: dataclasses.replace(known[FIVE], n_frames=64)}
    monkeypatch.setattr(official, "specs", lambda: short)


def test_stems_equal_those_of_the_command(short_segments, site, music, native_stems, tmp_path):
    music = music[:, : 3 * 44100]
    models, song, stems = (tmp_path / name for name in ("models.json", "song.f32", "stems.f32"))
    models.write_text(json.dumps(models_card()))
    song.write_bytes(music.astype(np.float32).tobytes())
    subprocess.run([NODE, SCRIPT, site, models, FIVE, "balanced", song, stems], check=True, timeout=300)
    found = np.fromfile(stems, np.float32).reshape(-1, *music.shape)
    expected = native_stems(FIVE, "balanced", music)
    for name, stem, reference in zip(expected, found, expected.values(), strict=True):
        assert error_db(stem, reference) < -80, name
    np.testing.assert_allclose(found.sum(0), music, atol=1e-6)

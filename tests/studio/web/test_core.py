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
from unweave.studio.web.export import WEB_PAGE
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


READ = """
const { readFormat, readMix, readTempo } = await import(process.argv[1]);
const query = new URLSearchParams(process.argv[2]);
try {
  const mix = readMix(query, ["vocals", "drums"]);
  console.log(JSON.stringify({ ...mix, format: readFormat(query, { wav: 1, flac: 1 }), tempo: readTempo(query) }));
} catch ({ code, values }) {
  console.log(JSON.stringify({ code, ...values }));
}"""


def read_query(query):
    """What the web edition reads in an address."""
    script = (WEB_PAGE / "queries.js").as_uri()
    found = subprocess.run([NODE, "--input-type=module", "-e", READ, script, query], check=True, stdout=subprocess.PIPE)
    return json.loads(found.stdout)


def test_a_link_is_read():
    mix = "gain=vocals:-6&gain=drums:-90&pan=drums:0.5&sensitivity=vocals:0.7&mute=drums&solo=vocals"
    assert read_query(f"format=flac&{mix}&tempo=97.5") == {
        "gains": {"vocals": -6, "drums": -90}, "pans": {"drums": 0.5}, "sensitivities": {"vocals": 0.7},
        "mute": ["drums"], "solo": ["vocals"], "format": "flac", "tempo": 97.5,
    }  # fmt: skip
    assert read_query("format=wav")["tempo"] == 0


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("gain=vocals:NaN", "expected a gain of at most 24 dB for vocals, got NaN"),
        ("gain=vocals:", "expected a gain of at most 24 dB for vocals, got "),
        ("gain=vocals:1e9", "expected a gain of at most 24 dB for vocals, got 1e9"),
        ("gain=vocals", "expected stems of vocals, drums, got "),
        ("gain=piano:0", "expected stems of vocals, drums, got piano"),
        ("mute=piano", "expected stems of vocals, drums, got piano"),
        ("pan=drums:-1.5", "expected a pan from -1 to 1 for drums, got -1.5"),
        ("sensitivity=drums:-0.1", "expected a sensitivity from 0 to 1 for drums, got -0.1"),
        ("tempo=1000", "expected a tempo from 20 to 999 beats per minute, got 1000"),
        ("tempo=fast", "expected a tempo from 20 to 999 beats per minute, got fast"),
        ("format=exe", "expected a format of wav, flac, got exe"),
        ("format=toString", "expected a format of wav, flac, got toString"),
        ("x=1", "expected a format of wav, flac, got null"),
    ],
)
def test_a_bad_link_is_refused_in_words(query, reason):
    more = "" if "format" in reason else "&format=wav"
    assert read_query(query + more) == {"code": "bad_option", "reason": reason}


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

"""The studio's API: from the upload to the mix that is taken home."""

import io
import json
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner

from tests.audio.test_files import read
from tests.helpers.signals import error_db
from tests.studio.conftest import names_below, until


@pytest.fixture
def studio(shared_studio):
    """Nothing here depends on what else is in it."""
    return shared_studio


def test_from_upload_to_export(studio, song, tmp_path):
    response = studio.upload(song)
    assert response.status_code == 201
    job = studio.wait(response.json()["id"])
    path = f"/api/jobs/{job['id']}"
    assert job["stems"] == ["vocals", "accompaniment"]
    assert (job["n_samples"], job["sample_rate"], job["name"]) == (6 * 44100, 44100, "Étude n° 1.wav")
    raw = studio.get(f"{path}/stems/vocals/samples", params={"start": 44100, "count": 1000})
    vocals = np.frombuffer(raw.content, "<i2").reshape(-1, 2).T / 32768
    assert vocals.shape == (2, 1000)
    beyond = studio.get(f"{path}/stems/vocals/samples", params={"start": 6 * 44100 - 10, "count": 1000})
    assert len(beyond.content) == 40
    peaks = studio.get(f"{path}/stems/accompaniment/peaks", params={"points": 100}).json()
    assert len(peaks) == 100
    assert 0 < max(peaks) <= 1
    picture = studio.get(f"{path}/stems/vocals/spectrogram.png")
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    mixed = studio.get(f"{path}/mix", params={"bit_depth": "32f"})
    assert error_db(read(io.BytesIO(mixed.content)), read(song)) < -90  # all faders at 0: the song itself
    solo = read(io.BytesIO(studio.get(f"{path}/mix", params={"solo": "vocals"}).content))
    np.testing.assert_allclose(solo[:, 44100:45100], vocals, atol=2e-4)
    with zipfile.ZipFile(io.BytesIO(studio.get(f"{path}/stems.zip", params={"format": "flac"}).content)) as archive:
        assert sorted(archive.namelist()) == ["Étude n_ 1/accompaniment.flac", "Étude n_ 1/vocals.flac"]
    studio.no_exports_left()


def test_the_mix_is_that_of_the_command(studio, song, tmp_path):
    from unweave.cli.main import app

    job = studio.wait(studio.upload(song).json()["id"])
    parameters = {"gain": ["vocals:-6", "accompaniment:3"], "pan": "vocals:-0.5", "bit_depth": "32f"}
    theirs = read(io.BytesIO(studio.get(f"/api/jobs/{job['id']}/mix", params=parameters).content))
    out = tmp_path / "remix.wav"
    arguments = ["remix", song, "-p", "toy", "--gain", "vocals=-6", "--gain", "accompaniment=3", "--pan", "vocals=-0.5",
                 "--bit_depth", "32f", "-o", out]  # fmt: skip
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr
    assert error_db(theirs, read(out)) < -100


def test_results_come_in_ranges(studio, song):
    job = studio.wait(studio.upload(song).json()["id"])
    whole = studio.get(f"/api/jobs/{job['id']}/mix").content
    part = studio.get(f"/api/jobs/{job['id']}/mix", headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole[100:200]


def test_events_tell_the_whole_story(studio, song):
    identifier = studio.upload(song).json()["id"]
    states = []
    with studio.get(f"/api/jobs/{identifier}/events", stream=True) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines(decode_unicode=True):
            if line.startswith("data: "):
                states.append(json.loads(line[6:])["state"])
    assert states[-1] == "done"


def test_the_first_stems_are_there_before_the_last(held_studio, song):
    identifier = held_studio.upload(song).json()["id"]
    job = held_studio.wait_for_stems(identifier)
    assert job["state"] == "running"
    assert 0 < job["progress"] < 1
    assert 0 < job["n_samples"] < 6 * 44100
    path = f"/api/jobs/{identifier}/stems/vocals/samples"
    first = held_studio.get(path, params={"count": 1000}).content
    assert np.frombuffer(first, "<i2").any()
    held_studio.release()
    assert held_studio.wait(identifier)["n_samples"] == 6 * 44100
    assert held_studio.get(path, params={"count": 1000}).content == first


def test_cancel_retry_and_delete(held_studio, song):
    identifier = held_studio.upload(song).json()["id"]
    held_studio.wait_for_stems(identifier)
    assert held_studio.request("POST", f"/api/jobs/{identifier}/retry").status_code == 409
    assert held_studio.request("POST", f"/api/jobs/{identifier}/cancel").status_code == 200
    assert held_studio.wait(identifier, ("cancelled",))["error"] == ""
    assert held_studio.request("POST", f"/api/jobs/{identifier}/cancel").status_code == 409
    assert held_studio.request("POST", f"/api/jobs/{identifier}/retry").json()["attempt"] == 2
    held_studio.wait_for_stems(identifier)
    assert held_studio.request("DELETE", f"/api/jobs/{identifier}").status_code == 204
    assert held_studio.get(f"/api/jobs/{identifier}").status_code == 404
    assert held_studio.get("/api/jobs").json() == []
    until(lambda: not names_below(held_studio.folder / "jobs"), "the files are gone when the run has stopped")


def test_models_with_their_licences(studio):
    models = {model["name"]: model for model in studio.get("/api/models").json()}
    assert models["spleeter:2stems"]["licence"] == "MIT"
    assert models["toy"]["here"]
    assert models["htdemucs"]["needs_consent"]


def test_the_api_is_described(studio):
    described = studio.get("/docs/openapi.json").json()["paths"]
    assert "/api/jobs/{identifier}/mix" in described
    assert all("summary" in method for path in described.values() for method in path.values())


@pytest.mark.parametrize("page", ["/", "/app.js", "/player.js", "/strips.js", "/words.js", "/api.js", "/style.css"])
def test_the_page_comes_from_here_alone(studio, page):
    response = studio.get(page)
    assert response.status_code == 200
    text = response.text.replace("http://www.w3.org/", "")
    assert "http://" not in text
    assert "https://" not in text
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy

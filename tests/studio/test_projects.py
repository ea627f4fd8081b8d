"""A song leaves the studio as a project for a DAW, with its faders where they are in the mixer."""

import io
import zipfile

import numpy as np
import pytest

from tests.audio.test_files import read
from tests.helpers import dawproject, reaper
from tests.helpers.asgi import call
from tests.helpers.signals import error_db
from tests.studio.test_limits import done_job
from unweave.studio.app import make_app
from unweave.studio.samples import read_samples
from unweave.studio.settings import Settings

MIX = {"gain": ["vocals:-6"], "pan": ["rest:-0.5"], "mute": ["rest"], "bit_depth": "32f"}


@pytest.fixture
def app(tmp_path):
    return make_app(Settings(tmp_path / "studio"))


@pytest.fixture
def job(app):
    return done_job(app.state.store, seconds=1)


def stem(app, job, number):
    return read_samples(app.state.store.folder(job.id), number, 0, job.n_samples)


def test_for_programs_that_read_dawproject(app, job, tmp_path):
    answer = call(app, "GET", f"/api/jobs/{job.id}/project", query=MIX | {"tempo": 99})
    assert answer.status == 200
    assert 'filename="song.dawproject"' in answer.headers["content-disposition"]
    tracks, tempo, metadata = dawproject.read(io.BytesIO(answer.body), tmp_path)
    assert (tempo, metadata["Title"]) == (99, "song")
    assert [(track.name, round(track.gain, 3), track.pan, track.is_muted) for track in tracks] == [
        ("vocals", 0.501, 0.5, False),
        ("rest", 1.0, 0.25, True),
    ]
    for number, track in enumerate(tracks):
        np.testing.assert_array_equal(read(tmp_path / track.clips[0][2]), stem(app, job, number))


def test_for_reaper(app, job, tmp_path):
    answer = call(app, "GET", f"/api/jobs/{job.id}/project", query=MIX | {"format": "rpp"})
    assert answer.status == 200
    assert 'filename="song.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert sorted(archive.namelist()) == ["song/rest.wav", "song/song.rpp", "song/vocals.wav"]
        archive.extractall(tmp_path)
    tracks = reaper.parse((tmp_path / "song" / "song.rpp").read_text()).all("TRACK")
    assert [track.one("MUTESOLO")[0] for track in tracks] == ["0", "1"]
    assert float(tracks[0].one("VOLPAN")[0]) == pytest.approx(10 ** (-6 / 20))
    np.testing.assert_array_equal(read(tmp_path / "song" / "vocals.wav"), stem(app, job, 0))
    assert not list(app.state.store._folder.glob("export-*"))


@pytest.mark.parametrize(
    "query",
    [
        {"format": "wav"},
        {"format": "midi"},
        {"tempo": "1"},
        {"tempo": "fast"},
        {"gain": "piano:1"},
        {"pan": "vocals"},
        {"bit_depth": "8"},
        {"sensitivity": "vocals:2"},
    ],
)
def test_projects_that_cannot_be(app, job, query):
    answer = call(app, "GET", f"/api/jobs/{job.id}/project", query=query)
    assert (answer.status, answer.json()["code"]) == (422, "bad_option")
    assert not list(app.state.store._folder.glob("export-*"))


def test_sensitivity_in_a_mix_moves_sound_and_keeps_the_sum(app, job):
    def mix(**query):
        answer = call(app, "GET", f"/api/jobs/{job.id}/mix", query=query | {"bit_depth": "32f"})
        assert answer.status == 200
        return read(io.BytesIO(answer.body))

    more = mix(solo="vocals", sensitivity="vocals:0.8")
    less = mix(solo="rest", sensitivity="vocals:0.8")
    assert np.linalg.norm(more) > 1.1 * np.linalg.norm(mix(solo="vocals"))
    assert error_db(more + less, mix()) < -100


def test_all_stems_with_a_sensitivity(app, job):
    """Each of them is what a mix of it alone would be."""
    query = {"format": "wav", "sensitivity": "vocals:0.8"}
    answer = call(app, "GET", f"/api/jobs/{job.id}/stems.zip", query=query)
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        stems = {name: archive.read(f"song/{name}.wav") for name in ("vocals", "rest")}
    for name, content in stems.items():
        assert call(app, "GET", f"/api/jobs/{job.id}/mix", query=query | {"solo": name}).body == content
    assert call(app, "GET", f"/api/jobs/{job.id}/stems.zip", query={"sensitivity": "vocals:2"}).status == 422

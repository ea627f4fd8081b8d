"""No request, however it is made, gets a status of 500."""

import json
import re
import shutil

import pytest

from tests.helpers.asgi import call
from tests.studio.conftest import names_below
from tests.studio.test_limits import done_job, encoded, upload
from unweave.models.cache import added_folder
from unweave.studio import samples
from unweave.studio.app import make_app
from unweave.studio.export import FORMATS
from unweave.studio.refusals import REFUSALS
from unweave.studio.settings import Settings


@pytest.fixture
def app(tmp_path, cache):
    return make_app(Settings(folder=tmp_path / "studio"))


@pytest.fixture
def job(app):
    return done_job(app.state.store, seconds=2)


@pytest.mark.parametrize(
    "host", [b"[::1", b"::1]", b"[", b"]", b"", b"\xff", "①".encode(), b"a@b", b"a b", b"x" * 5000]
)
def test_hosts_that_are_none(app, host):
    assert call(app, "GET", "/api/jobs", host=host).status == 421


@pytest.mark.parametrize("host", [b"[::1]:80", b"localhost", b"LOCALHOST:1", b"127.0.0.1:x"])
def test_names_of_this_machine(app, host):
    assert call(app, "GET", "/api/jobs", host=host).status == 200


@pytest.mark.parametrize("origin", [b"http://[", b"[::1", b"\xe9", "http://℀.x".encode(), b"null", b"http://"])
def test_origins_that_are_none(app, origin):
    assert upload(app, encoded(1), headers=[(b"origin", origin)]).status == 403


@pytest.mark.parametrize("token", ["secret", "é", '€ ;,"=', "日本"])
def test_tokens_of_any_letters(tmp_path, cache, token):
    app = make_app(Settings(folder=tmp_path, host="0.0.0.0", token=token))
    for wrong in ("é", "€", "", "x", token + "x", "\ud800".encode("utf-8", "surrogatepass")):
        if wrong != token:
            assert call(app, "GET", "/api/jobs", query={"token": wrong}).status == 401
    for raw in (b"\xe9", b"\xff\xfe", b"", b"Bearer", b"Bearer \xe9", b"bearer x"):
        assert call(app, "GET", "/api/jobs", headers=[(b"authorization", raw)]).status == 401
        assert call(app, "GET", "/api/jobs", headers=[(b"cookie", b"unweave_token=" + raw)]).status == 401
    assert call(app, "GET", "/api/jobs", query=b"token=%ff%00").status == 401
    bearer = [(b"authorization", b"Bearer " + token.encode())]
    assert call(app, "GET", "/api/jobs", headers=bearer).status == 200
    page = call(app, "GET", "/", query={"token": token})
    assert page.status == 200
    cookie = page.headers["set-cookie"].partition(";")[0].encode()
    assert token.encode() not in cookie
    assert call(app, "GET", "/api/jobs", headers=[(b"cookie", cookie)]).status == 200


@pytest.mark.parametrize(
    "query",
    ["start=-1", "start=1e400", "start=" + "9" * 400, "start=9223372036854775808", "count=0", "count=-5", "count=nan",
     "count=99999999999", "start=é", "start=%00"],
)  # fmt: skip
def test_parts_that_there_are_not(app, job, query):
    answer = call(app, "GET", f"/api/jobs/{job.id}/stems/vocals/samples", query=query.encode())
    assert answer.status in (200, 422)
    if answer.status == 200:
        assert answer.body == b""
    else:
        assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize("points", [1, 2, 3, 7, 600, 799, 800, 3999, 4000])
def test_peaks_leave_one_file_a_stem(app, job, points):
    folder = app.state.store.folder(job.id)
    before = {path.name for path in folder.iterdir()}
    heights = call(app, "GET", f"/api/jobs/{job.id}/stems/vocals/peaks", query={"points": points}).json()
    assert len(heights) == points
    assert 0 < max(heights) <= 1
    assert {path.name for path in folder.iterdir()} - before == {"stem-0-peaks.json"}


@pytest.mark.parametrize("points", ["0", "-1", "4001", "nan", "1e3", "9" * 5000])
def test_points_that_make_no_sense(app, job, points):
    assert call(app, "GET", f"/api/jobs/{job.id}/stems/vocals/peaks", query={"points": points}).status == 422


@pytest.mark.parametrize(
    "query",
    ["gain=vocals", "gain=:", "gain=", "gain=vocals:1e999", "gain=vocals:-inf", "gain=vocals:١", "gain=%00:1",
     "pan=vocals:nan", "pan=vocals:-1e308", "solo=", "mute=%ff", "bitrate=0", "bitrate=-5k", "bitrate=nan",
     "bitrate=infk", "bitrate=1e9M", "bitrate=99999999999k", "bit_depth=", "bit_depth=32f&format=flac", "format=",
     "format=WAV", "format=stem.mp4", "format=vdjstems", "format=../wav", "format=%00", "format=mp3&bitrate=lossless",
     "format=ogg&bitrate=1k", "format=opus&bitrate=9999k", "format=m4a&bitrate=lossless", "format=wma"],
)  # fmt: skip
def test_mixes_and_archives_of_all_kinds(app, job, query):
    for path in ("mix", "stems.zip"):
        answer = call(app, "GET", f"/api/jobs/{job.id}/{path}", query=query.encode("utf-8"))
        assert answer.status in (200, 422), answer.body
        if answer.status == 422:
            assert isinstance(answer.json()["detail"], str)
            assert "/" not in answer.json()["detail"].replace("../wav", "")  # no path of the server's
        assert not any("export-" in path for path in names_below(app.state.store._folder))


@pytest.mark.parametrize(
    "path", ["mix", "stems.zip", "stems/vocals/peaks", "stems/vocals/spectrogram.png", "stems/vocals/samples"]
)
def test_what_is_deleted_while_it_is_read(app, job, monkeypatch, path):
    read_samples, store = samples.read_samples, app.state.store

    def deleting(*arguments):
        if store.all():
            store.delete(job.id)
        return read_samples(*arguments)

    for module in ("samples", "pictures"):
        monkeypatch.setattr(f"unweave.studio.{module}.read_samples", deleting)
    answer = call(app, "GET", f"/api/jobs/{job.id}/{path}")
    assert (answer.status, answer.json()["code"]) == (404, "no_job")
    assert names_below(store._folder) == set()


@pytest.mark.parametrize("format", FORMATS)
def test_no_export_takes_more_room_than_is_kept_for_it(app, job, format):
    from unweave.separation.output import OutputOptions
    from unweave.studio.export import export_bytes

    answer = call(app, "GET", f"/api/jobs/{job.id}/mix", query={"format": format})
    assert len(answer.body) <= export_bytes(job, OutputOptions(format, "256k"))


@pytest.mark.parametrize(
    "model", ["toy*nan", "toy*inf", "toy*1e400", "toy*-1", "+", "*", "toy+", "\0", "é", "unweave:4stems+" * 12,
              "a.json", "C:\\x", "..", "x.onnx", "none", " "]
)  # fmt: skip
def test_models_that_there_are_not(app, model):
    answer = upload(app, encoded(1), model=model)
    assert answer.status == 422
    assert answer.json()["code"] in ("bad_model", "no_model")
    assert model != "none" or answer.json()["detail"] == "There is no model called none."


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty"),
        (bytes(500), "cut_off"),
        (b"<!doctype html><p>Not found", "web_page"),
        (b"PK\3\4 a song in it", "archive"),
        (b"MThd\0\0\0\6", "midi"),
        (b"#EXTM3U\nsong.mp3", "playlist"),
        (b"%PDF-1.7", "no_audio"),
        (b"\x89\x12\xf3" * 99, "no_audio"),
        (encoded(1)[:44], "no_audio"),  # nor of a large file of which nothing can be read does one say that it is empty
    ],
)
def test_what_is_no_song_is_called_by_what_it_is(app, body, code):
    answer = upload(app, body)
    assert answer.json()["code"] == code
    assert answer.status == REFUSALS[code][0]


@pytest.mark.parametrize("quality", ["", "\0", "none", "best+fast"])
def test_qualities_that_there_are_not(app, quality):
    assert upload(app, encoded(1), quality=quality).status == 422


@pytest.mark.parametrize("length", [b"x", b"-1", "²".encode("latin-1"), b"1e3", b"", b"9" * 400])
def test_lengths_that_are_none(app, length):
    headers = [(b"content-length", length)]
    answer = call(app, "POST", "/api/jobs", query={"model": "unweave:4stems"}, headers=headers, body=encoded(1))
    assert answer.status in (201, 413, 422)


@pytest.mark.parametrize(
    "path", ["/%00", "/\0", "/" + "x" * 5000, "/\udcff", "/a/b/../../../etc/passwd", "//x", "/docs"]
)
def test_pages_that_there_are_not(app, path):
    raw = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    assert call(app, "GET", raw).status == 404


def test_a_broken_added_model_hides_no_other(app, toy_model, job):
    for name, files in {
        "no-json": {"model.json": "{"},
        "a-list": {"model.json": "[]"},
        "wrong-types": {"model.json": json.dumps({"model": 3, "stft": None})},
        "no-graph": {"model.onnx": "no ONNX"},
        "empty": {"model.onnx": ""},
    }.items():
        (added_folder() / name).mkdir(parents=True)
        for file, text in files.items():
            (added_folder() / name / file).write_text(text)
    (added_folder() / "a-folder" / "model.json").mkdir(parents=True)
    models = {model["name"]: model for model in call(app, "GET", "/api/models").json()}
    assert models["toy"]["here"]
    assert models["unweave:4stems"]["here"]
    for name in ("no-json", "a-list", "wrong-types", "no-graph", "empty", "a-folder"):
        if name != "a-folder":  # which may be taken for no model at all
            assert models[name]["problem"]
            assert not models[name]["here"]
        assert upload(app, encoded(1), model=name).status == 422
        assert call(app, "POST", f"/api/jobs/{job.id}/retry", query={"model": name}).status == 422


def test_added_models_that_cannot_be_listed_hide_no_other(app, monkeypatch):
    def closed(folder):
        raise PermissionError(13, "permission denied")

    monkeypatch.setattr("unweave.models.added.os.listdir", closed)
    assert "unweave:4stems" in {model["name"] for model in call(app, "GET", "/api/models").json()}


def test_what_must_be_fetched_first_says_how_much(app):
    models = {model["name"]: model for model in call(app, "GET", "/api/models").json()}
    assert models["unweave:4stems"]["download_bytes"] == 0
    assert models["spleeter:2stems"]["download_bytes"] == 78_614_080 + 5244
    assert not models["spleeter:2stems"]["here"]
    cascade = models["unweave:4stems-cascade"]  # its first model counts
    assert (cascade["here"], cascade["download_bytes"]) == (False, 78_614_080 + 5244)


def test_what_people_want_comes_first_and_needs_no_download_where_that_can_be(app, monkeypatch):
    def purposes():
        return [
            (model["purpose"], model["name"]) for model in call(app, "GET", "/api/models").json() if model["purpose"]
        ]

    four, five, best = ("four", "unweave:4stems"), ("five", "unweave:5stems"), ("best", "htdemucs")
    assert purposes() == [("voice", "spleeter:2stems"), four, five, best]
    monkeypatch.setattr("unweave.models.listing.is_present", lambda weights: True)
    cascades = [("four", "unweave:4stems-cascade"), ("five", "unweave:5stems-cascade")]
    assert purposes() == [("voice", "spleeter:2stems"), *cascades, best]  # 2 dB better, once its first model is here


def test_a_restricted_licence_is_accepted_once(app):
    song = encoded(1)
    refused = upload(app, song, model="htdemucs")
    assert (refused.status, refused.json()["code"]) == (403, "needs_consent")
    assert upload(app, song, model="unweave:4stems+htdemucs").status == 403
    job = done_job(app.state.store, seconds=1)
    assert call(app, "POST", f"/api/jobs/{job.id}/retry", query={"model": "htdemucs"}).status == 403
    assert app.state.store.get(job.id) == job
    assert upload(app, song, model="htdemucs", accept_licence="true").status == 201
    assert upload(app, song, model="htdemucs").status == 201


def test_a_model_whose_name_has_a_dot(app, toy_model):
    shutil.copytree(added_folder() / "toy", added_folder() / "toy.v2")
    assert upload(app, encoded(1), model="toy.v2").status == 201


def test_every_refusal_is_a_sentence():
    for code, (status, sentence) in REFUSALS.items():
        assert re.fullmatch(r"[A-Z].*\.", sentence), code
        assert status >= 400

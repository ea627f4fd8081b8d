"""Stores that speak S3: pages, parts, conditions, and everything that goes wrong between here and there."""

import hashlib
import itertools

import pytest

from tests.audio.test_files import write
from tests.helpers.catalogues import run_here, songs_of, work
from tests.helpers.signals import tones

pytest.importorskip("ray")
pytest.importorskip("moto")
pytest.importorskip("s3fs")

import fsspec
from moto.s3.models import s3_backends
from s3fs.core import calculate_chunksize

from tests.helpers.s3 import ENVIRONMENT, Refused, Reset, Slow, every, serving_s3
from unweave.cluster import upload as upload_module
from unweave.cluster.journal import StoreJournal
from unweave.cluster.listing import stamp_of
from unweave.cluster.places import Place
from unweave.cluster.songs import Song
from unweave.cluster.upload import upload
from unweave.errors import AudioReadError, AudioWriteError

pytestmark = pytest.mark.filterwarnings("default")  # moto's and Ray's own


@pytest.fixture(scope="module")
def server():
    with serving_s3("songs", "stems") as running:
        yield running


@pytest.fixture
def s3(server, monkeypatch):
    """The server, empty and without faults, where this process finds it."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(
        fsspec.config.conf, "s3", {"config_kwargs": {"read_timeout": 1, "retries": {"max_attempts": 2}}}
    )
    fsspec.filesystem("s3").clear_instance_cache()
    server.fault = lambda number, method, path: None
    system = fsspec.filesystem("s3", use_listings_cache=False)
    for bucket in ("songs", "stems"):
        for name in system.find(bucket):
            system.rm_file(name)
    server.requests.clear()
    server.system = system
    yield server
    fsspec.filesystem("s3").clear_instance_cache()


def put_songs(s3, tmp_path, *names):
    path = write(tmp_path / "song.wav", tones(9000))
    for name in names:
        s3.system.put_file(str(path), name)
    s3.requests.clear()
    return path


def stems_of(path, folder, toy_json):
    """What ``unweave separate`` makes of ``path``, by stem."""
    from unweave import Separator

    paths = Separator(str(toy_json), threads=1).separate_file(path, folder)
    return {stem: each.read_bytes() for stem, each in paths.items()}


def requests_about(s3, name):
    """The methods of those requests about one object that were answered, without repeated ones."""
    asked = [method for method, path in s3.requests if path.partition("?")[0] == f"/{name}"]
    return [method for method, _ in itertools.groupby(asked)]


def test_from_bucket_to_bucket_with_every_fifth_request_refused(s3, toy_json, tmp_path):
    path = put_songs(s3, tmp_path, "songs/a/1.wav", "songs/a/2.wav", "songs/b.wav")
    s3.fault = every(5)
    chosen = work("s3://songs", "s3://stems/here", toy_json)
    summary, results = run_here(chosen)
    assert (summary.done, summary.failed) == (3, 0)
    assert requests_about(s3, "songs/b.wav") == ["GET"]
    assert requests_about(s3, "stems/here/b/vocals.wav") == ["PUT"]
    expected = stems_of(path, tmp_path / "out", toy_json)
    for name, result in results.items():
        assert {stem: chosen.target.read(target) for stem, target in result.stems.items()} == expected
        assert set(result.stems.values()) == {f"{name[:-4]}/{stem}.wav" for stem in expected}
    # Nothing is copied or renamed, and a second run writes nothing at all.
    assert not [path for method, path in s3.requests if method == "DELETE"]
    s3.requests.clear()
    assert run_here(chosen)[0].skipped == 3
    assert {method for method, _ in s3.requests} <= {"GET", "HEAD"}


def test_pages(s3):
    names = sorted(f"{number % 7}/{number:04}" for number in range(25))
    for name in names:
        s3.system.pipe_file(f"songs/top/{name}", b"x")
    s3.system.pipe_file("songs/top2/0000", b"x")
    s3.system.call_s3("put_object", Bucket="songs", Key="top/3/")  # a folder, as consoles make them
    call, n_pages = type(s3.system).call_s3, []

    def small_pages(system, method, **request):
        n_pages.append(method)
        return call(system, method, MaxKeys=4, **request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(s3.system), "call_s3", small_pages)
        place = Place("s3://songs/top")
        assert [name for name, _ in place.files()] == names
        assert len(n_pages) == 7
        n_pages.clear()
        assert next(place.files(after="3/0017", until="5"))[0] == "3/0024"
        assert len(n_pages) == 1
        assert [name for name, _ in place.files(prefix="2/", after="2/0009")] == ["2/0016", "2/0023"]


@pytest.mark.parametrize("pattern", ["{0}/{1}.wav", "{1}/{0}.wav"])
def test_twice_the_songs_take_twice_the_list_requests(s3, monkeypatch, pattern):
    """A bucket whose stems lie side by side, or all of a kind in a folder, and pages of four names."""
    call, pages = type(s3.system).call_s3, []

    def small_pages(system, method, **request):
        if method == "list_objects_v2":
            pages.append(request)
            request["MaxKeys"] = 4
        return call(system, method, **request)

    source, target = Place("s3://songs"), Place("s3://stems")
    monkeypatch.setattr("unweave.cluster.journal.NAMES_BETWEEN", 4)
    counts = []
    for n_songs in (16, 32):
        songs = [
            Song(f"{number:02}.mp3", {stem: pattern.format(stem, f"{number:02}") for stem in "av"}, stamp=(1, 1))
            for number in range(n_songs)
        ]
        for song in songs:
            for stem in song.stems.values():
                s3.system.pipe_file(f"stems/{stem}", stem.encode())
        stamps = dict(target.files())
        journal = StoreJournal(source, target, "settings")
        for song in songs:
            journal.record(song.name, source.state(song.name, song.stamp), {s: stamps[s] for s in song.stems.values()})
        journal.close()
        s3.system.rm_file("stems/" + songs[5].stems["v"])
        journal = StoreJournal(source, target, "settings")
        with monkeypatch.context() as patch:
            patch.setattr(type(s3.system), "call_s3", small_pages)
            pages.clear()
            finished = [journal.finished(songs[first : first + 4]) for first in range(0, n_songs, 4)]
            counts.append(len(pages))
        assert set().union(*finished) == {song.name for song in songs} - {"05.mp3"}
    assert counts[1] <= 2 * counts[0]


def test_large_stems_are_sent_in_parts_and_appear_whole(s3, tmp_path):
    raw = bytes(range(256)) * (12 * 2**12)
    path = tmp_path / "large.wav"
    path.write_bytes(raw)
    system = s3.system
    put = system.put_file
    assert 2 * calculate_chunksize(0) == upload_module.BYTES_IN_PARTS

    def in_parts(source, target, **options):
        return put(source, target, chunksize=5 * 2**20, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(system, "put_file", in_parts)
        patch.setattr(upload_module, "BYTES_IN_PARTS", len(raw))
        s3.fault = lambda number, method, path: Refused() if "partNumber=2" in path and number % 2 else None
        upload(system, ("s3",), {path: "stems/large.wav"})
        assert hashlib.sha256(system.cat_file("stems/large.wav")).digest() == hashlib.sha256(raw).digest()
        # A part that cannot be sent: nothing appears, and the parts that were sent are given up.
        s3.fault = lambda number, method, path: (
            Refused("403 Forbidden", "AccessDenied", "no") if "partNumber=2" in path else None
        )
        with pytest.raises(PermissionError):
            upload(system, ("s3",), {path: "stems/other.wav"})
    assert not system.exists("stems/other.wav")
    assert "Uploads" not in system.call_s3("list_multipart_uploads", Bucket="stems")


def test_what_is_there_with_the_same_bytes_stays_as_it_is(s3, tmp_path):
    """A worker that was cut off and comes back finds its song done, and changes nothing."""
    (tmp_path / "a").write_bytes(b"stem")
    place = Place("s3://stems")
    place.put({tmp_path / "a": "x/vocals.wav"})
    s3.requests.clear()
    place.put({tmp_path / "a": "x/vocals.wav"})
    # The first on condition that nothing is there. Parts of the test before may still be on their way.
    assert [method for method, path in s3.requests if "vocals.wav" in path] == ["PUT", "HEAD"]
    (tmp_path / "a").write_bytes(b"made")
    place.put({tmp_path / "a": "x/vocals.wav"})
    assert place.read("x/vocals.wav") == b"made"


@pytest.mark.parametrize(
    "answer",
    [
        Refused("412 Precondition Failed", "PreconditionFailed", "no"),  # without the name of the condition
        Refused("409 Conflict", "ConditionalRequestConflict", "another is writing it"),
        Refused("501 Not Implemented", "NotImplemented", "a header you provided"),
    ],
    ids=lambda answer: answer.code,
)
@pytest.mark.parametrize("there", [None, b"stem", b"old!"])
def test_what_stores_answer_to_a_condition_fails_no_song(s3, tmp_path, answer, there):
    (tmp_path / "a").write_bytes(b"stem")
    if there is not None:
        s3.system.pipe_file("stems/a.wav", there)
    puts = itertools.count(1)
    # Parts of another test's object may still be on their way.
    s3.fault = lambda number, method, path: answer if method == "PUT" and "a.wav" in path and next(puts) == 1 else None
    Place("s3://stems").put({tmp_path / "a": "a.wav"})
    assert s3.system.cat_file("stems/a.wav") == b"stem"
    assert next(puts) == (2 if there == b"stem" else 3)


def test_a_journal_does_not_note_what_a_run_with_other_settings_has_written(s3, toy_json, tmp_path, monkeypatch):
    """In the same second, and as many bytes; the other run dies and notes nothing."""
    put_songs(s3, tmp_path, "songs/1.wav")
    chosen, put = work("s3://songs", "s3://stems", toy_json), Place.put

    def overtaken(place, files):
        stamps = put(place, files)
        for path, name in files.items():
            s3.system.pipe_file(f"stems/{name}", path.read_bytes()[::-1])
        return stamps

    with monkeypatch.context() as patch:
        patch.setattr(Place, "put", overtaken)
        assert run_here(chosen)[0].done == 1
    assert run_here(chosen)[0].done == 1
    assert run_here(chosen)[0].skipped == 1


def test_an_upload_whose_answer_was_lost_is_found_and_not_repeated(s3, tmp_path):
    """Sent again, it meets itself: one version, and its stamp is that of the listing."""
    (tmp_path / "a").write_bytes(b"stem")
    s3.system.call_s3("put_bucket_versioning", Bucket="stems", VersioningConfiguration={"Status": "Enabled"})
    place, puts = Place("s3://stems"), []

    def lose_first(number, method, path):
        if method != "PUT":
            return None
        puts.append(path)
        if len(puts) > 1:
            return None
        s3_backends["123456789012"]["aws"].put_object("stems", "lost.wav", b"stem")
        return Reset()

    s3.fault = lose_first
    try:
        stamps = place.put({tmp_path / "a": "lost.wav"})
        assert puts == ["/stems/lost.wav"] * 2
        assert stamps == dict(place.files(prefix="lost"))
        found = s3.system.call_s3("list_object_versions", Bucket="stems", Prefix="lost")
        assert len(found["Versions"]) == 1
    finally:
        s3.system.call_s3("put_bucket_versioning", Bucket="stems", VersioningConfiguration={"Status": "Suspended"})


def test_etags_however_a_store_writes_them(s3, tmp_path, monkeypatch):
    """A proxy that compresses makes them weak in one answer and not in another; some stores have no quotes, or none."""
    stamps = {stamp_of({"size": 1, "ETag": etag}) for etag in ('"a1"', "a1", 'W/"a1"')}
    assert len(stamps) == 1
    assert stamps != {stamp_of({"size": 1, "ETag": '"a2"'})}
    (tmp_path / "a").write_bytes(b"stem")
    call = type(s3.system).call_s3

    def without_etag(system, method, **request):
        answer = call(system, method, **request)
        return {key: value for key, value in answer.items() if key != "ETag"}

    monkeypatch.setattr(type(s3.system), "call_s3", without_etag)
    assert Place("s3://stems").put({tmp_path / "a": "none.wav"}) == {}
    assert s3.system.cat_file("stems/none.wav") == b"stem"


def test_a_worker_that_cannot_go_on_takes_nothing_back(s3, tmp_path):
    """Another, which does the song because the first was cut off, may have found its stems and counted on them."""
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    stems = {tmp_path / "a": "a.wav", tmp_path / "b": "b.wav"}
    place, n_refused = Place("s3://stems"), itertools.count(1)
    s3.fault = lambda number, method, path: (
        Refused("403 Forbidden", "AccessDenied", "Access Denied")
        if method == "PUT" and "b.wav" in path and next(n_refused) == 1
        else None
    )
    with pytest.raises(AudioWriteError, match=r"refuses access \(access Denied\)"):
        place.put(stems)
    assert [name for name, _ in place.files()] == ["a.wav"]
    written = place.stamp("a.wav")
    place.put(stems)
    assert (place.read("a.wav"), place.read("b.wav"), place.stamp("a.wav")) == (b"a", b"b", written)


@pytest.mark.parametrize("fault", [Refused(), Reset(), Reset(after=1000), Slow(1.5)], ids=str)
def test_what_a_network_does(s3, tmp_path, fault):
    raw = bytes(range(256)) * 1000
    s3.system.pipe_file("songs/song.wav", raw)
    hits = []

    def once_per_kind(number, method, path):
        kind = (method, path.partition("?")[0])
        if kind in hits or (isinstance(fault, (Slow, Reset)) and fault != Reset() and method != "GET"):
            return None
        hits.append(kind)
        return fault

    s3.fault = once_per_kind
    Place("s3://songs").fetch("song.wav", tmp_path / "song.wav")
    assert (tmp_path / "song.wav").read_bytes() == raw
    Place("s3://stems").put({tmp_path / "song.wav": "back.wav"})
    assert s3.system.cat_file("stems/back.wav") == raw
    assert hits


def test_what_is_wrong_with_a_bucket_is_one_line(s3, monkeypatch):
    def said(address):
        with pytest.raises((AudioReadError, AudioWriteError)) as caught:
            list(Place(address).files())
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no such bucket" in said("s3://nothing-here/songs")
    s3.fault = lambda *arguments: Refused("403 Forbidden", "AccessDenied", "Access Denied")
    assert "refuses access" in said("s3://songs")
    s3.fault = lambda *arguments: Refused("400 Bad Request", "ExpiredToken", "The provided token has expired.")
    assert "the credentials have expired; renew them" in said("s3://songs")
    s3.fault = lambda *arguments: Refused("403 Forbidden", "InvalidAccessKeyId", "The key does not exist.")
    assert "does not know these credentials" in said("s3://songs")
    s3.fault = lambda *arguments: None
    for name in ENVIRONMENT:
        if "KEY" in name:
            monkeypatch.delenv(name)
    fsspec.filesystem("s3").clear_instance_cache()
    assert "no credentials were found" in said("s3://songs")


def test_credentials_that_expire_on_the_way_fail_the_song_and_not_the_run(s3, toy_json, tmp_path):
    put_songs(s3, tmp_path, "songs/1.wav", "songs/2.wav")
    s3.fault = lambda number, method, path: (
        Refused("403 Forbidden", "ExpiredToken", "expired") if "1.wav" in path and method == "GET" else None
    )
    summary, results = run_here(work("s3://songs", "s3://stems", toy_json))
    assert (summary.done, summary.failed) == (1, 1)
    assert results["1.wav"].error.startswith("cannot fetch s3://songs/1.wav: the credentials have expired; renew them")


def test_stems_among_the_songs_of_a_bucket(s3, toy_json, tmp_path):
    put_songs(s3, tmp_path, "songs/1.wav", "songs/1/2.wav")
    chosen = work("s3://songs", "s3://songs", toy_json)
    assert run_here(chosen)[0].done == 2
    assert [song.name for song in songs_of(chosen)] == ["1.wav", "1/2.wav"]
    assert run_here(chosen)[0].skipped == 2

"""Catalogues of any size: names come as a stream, in order, and nothing is held that grows with their number."""

import itertools
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.catalogues import memory_store

pytest.importorskip("ray")

from unweave.cluster.journal import StoreJournal, open_journal
from unweave.cluster.listing import LAST
from unweave.cluster.parts import PartsInOrder, lowest_song, new_part, sort_key
from unweave.cluster.places import Place
from unweave.cluster.run import SONGS_AT_ONCE, separate_catalogue
from unweave.cluster.songs import Song, _Owners, find_songs, stem_targets
from unweave.cluster.worker import Result
from unweave.errors import AudioReadError, OptionError
from unweave.separation.journal import Entry
from unweave.separation.output import OutputOptions

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own

STEMS = ("vocals", "accompaniment")
NAMES = ["a b/c.wav", "a-b.wav", "a.b.wav", "a.wav", "a/b/c.wav", "a/b.wav", "a/ä.wav", "a0.wav", "ab.wav", "z/z.wav"]


class Endless(Place):
    """A store of songs 0, 1, 2, …, which counts how many it has told; and a target that has all their stems."""

    def __init__(self, n_songs, stems=()):
        super().__init__("memory://endless")
        object.__setattr__(self, "told", 0)
        object.__setattr__(self, "n_songs", n_songs)
        object.__setattr__(self, "stems", stems)

    def files(self, *, prefix="", after="", until=LAST):
        if prefix:
            return
        for number in range(self.n_songs):
            object.__setattr__(self, "told", self.told + 1)
            if not self.stems:
                yield f"{number // 50:06}/{number:08}.mp3", (1, 0)


def test_a_file_among_the_parts_that_is_none_hides_no_part():
    """A copy, say, or the folder's own entry: whatever came after it was separated again."""
    store, target = memory_store(), Place("memory://out")
    entries = {f"{number}.mp3": Entry({"file": str(number)}, "s", {f"{number}/v.wav": (1, 1)}) for number in range(4)}
    for name, entry in entries.items():
        target.write(*new_part({name: entry}))
    for name in ("!unweave-journal-", "!unweave-journal-322e.bak"):
        store.pipe_file(f"/out/{name}", b"{}")
    assert list(PartsInOrder(target).entries("0.mp3", "3.mp3")) == [*entries.values()]


def test_a_clock_that_was_ahead_hides_nothing(monkeypatch):
    """What another run has done since, with other settings, is found by the next."""
    store, source, target = memory_store(), Place("memory://in"), Place("memory://out")
    store.pipe_file("/in/a.mp3", b"song")
    song, now = Song("a.mp3", {"vocals": "a/vocals.wav"}), time.time_ns()

    def is_finished(settings, clock_ns):
        monkeypatch.setattr("unweave.cluster.parts.time.time_ns", lambda: clock_ns)
        journal = StoreJournal(source, target, settings)
        if journal.finished([song]):
            return True
        store.pipe_file("/out/a/vocals.wav", settings.encode())
        journal.record(song.name, source.state(song.name), {"a/vocals.wav": target.stamp("a/vocals.wav")})
        journal.close()
        return False

    assert not is_finished("first", now + 3600 * 10**9)
    assert not is_finished("second", now)
    assert is_finished("second", now + 1)
    assert not is_finished("first", now + 2)
    assert is_finished("first", now + 3)


def test_a_doubtful_name_in_a_store_that_breaks_off(monkeypatch):
    """Whoever separates the song says what is wrong; the listing goes on."""
    import botocore.exceptions

    store, source = memory_store(), Place("memory://in")
    store.pipe_file("/in/a.ts", b"G" * 4096)

    def refused(*arguments, **options):
        raise botocore.exceptions.EndpointConnectionError(endpoint_url="https://s3")

    monkeypatch.setattr(type(store), "open", refused)
    assert [song.name for song in find_songs(source, Place("memory://out"), STEMS, OutputOptions())] == ["a.ts"]


def test_a_listing_is_in_order_and_has_what_was_asked_for():
    store = memory_store()
    for name in NAMES:
        store.pipe_file(f"/songs/{name}", name.encode())
    place = Place("memory://songs")
    assert [name for name, _ in place.files()] == sorted(NAMES)
    assert [size for _, (size, _) in place.files()] == [len(name.encode()) for name in sorted(NAMES)]
    for prefix, after, until in (("a/", "", LAST), ("", "a/b.wav", LAST), ("", "", "a/b"), ("a", "a.b", "a/b/c.wav")):
        expected = [name for name in sorted(NAMES) if name.startswith(prefix) and after < name <= until]
        assert [name for name, _ in place.files(prefix=prefix, after=after, until=until)] == expected
        assert expected
    assert list(Place("memory://songs/none").files()) == []


def test_a_store_that_lists_in_no_order_is_refused(monkeypatch):
    monkeypatch.setattr(
        "unweave.cluster.places.files_in_order", lambda *arguments: iter([("b", (1, 0)), ("a", (1, 0))])
    )
    with pytest.raises(AudioReadError, match="in order"):
        list(Place("memory://songs").files())


def test_songs_are_only_listed_as_they_are_needed():
    """Whoever stops after ten songs has listed a thousand, of however many."""
    source, target = Endless(10**9), Place("memory://out")
    memory_store()
    journal, drawn = open_journal(source, target, "settings"), []

    def pool(songs, should_stop):
        for song in itertools.islice(songs, 10):
            drawn.append(song)
            yield Result(song.name, {})

    summary = separate_catalogue(find_songs(source, target, STEMS, OutputOptions()), journal, pool)
    assert summary.done == len(drawn) == 10
    assert not summary.is_listed
    assert source.told <= SONGS_AT_ONCE


def test_no_more_songs_are_held_than_are_looked_up_together(monkeypatch):
    memory_store()
    alive = most = 0

    class Counted(Song):
        def __init__(self, *fields, **more):
            nonlocal alive, most
            super().__init__(*fields, **more)
            alive += 1
            most = max(most, alive)

        def __del__(self):
            nonlocal alive
            alive -= 1

    monkeypatch.setattr("unweave.cluster.songs.Song", Counted)
    monkeypatch.setattr("unweave.cluster.run.SONGS_AT_ONCE", 20)
    source, target = Endless(600), Place("memory://out")
    songs = find_songs(source, target, STEMS, OutputOptions())
    journal = open_journal(source, target, "settings")
    summary = separate_catalogue(songs, journal, lambda songs, stop: (Result(song.name, {}) for song in songs if song))
    assert (summary.done, summary.found, summary.is_listed) == (600, 600, True)
    assert 20 <= most <= 2 * 20 + 5


class Finished:
    """A journal by which all songs are done but these; it keeps what it is told."""

    def __init__(self, *undone):
        self.undone = set(undone)
        self.recorded = []

    def finished(self, songs):
        return {song.name for song in songs} - self.undone

    def record(self, name, state, stems):
        self.recorded.append(name)


def test_results_can_be_taken_while_finished_songs_go_by():
    """Before each lot of songs that are all done, whoever draws them is asked to look after those under way."""
    songs = (Song(str(number)) for number in range(5 * SONGS_AT_ONCE))
    drawn = []

    def pool(songs, should_stop):
        drawn.extend(songs)
        yield Result("1", {})

    summary = separate_catalogue(songs, Finished("1", str(4 * SONGS_AT_ONCE)), pool)
    assert [song and song.name for song in drawn] == ["1", None, None, None, None, str(4 * SONGS_AT_ONCE), None]
    assert (summary.skipped, summary.is_listed) == (5 * SONGS_AT_ONCE - 2, True)


def test_the_last_song_is_known_to_be_the_last_before_its_result():
    """How much is left can then be shown, however soon the results come."""

    def pool(songs, should_stop):
        for song in songs:
            if song is None:
                return
            yield Result(song.name, {})

    summary = separate_catalogue(map(Song, "abc"), Finished("a", "b", "c"), pool)
    assert (summary.done, summary.is_listed) == (3, True)


def test_songs_under_way_are_noted_before_a_page_that_cannot_be_listed_ends_the_run():
    def songs():
        yield from (Song(str(number)) for number in range(SONGS_AT_ONCE))
        raise AudioReadError("cannot list s3://songs")

    def pool(songs, should_stop):
        under_way = list(songs)
        yield from (Result(song.name, {}, source={"file": song.name}) for song in under_way if song)

    journal = Finished("0", "7")
    with pytest.raises(AudioReadError, match="cannot list s3://songs"):
        separate_catalogue(songs(), journal, pool)
    assert journal.recorded == ["0", "7"]


def test_a_journal_is_read_along_with_the_songs():
    """Of ten parts only those are held that the present songs are in."""
    store = memory_store()
    source, target = Place("memory://in"), Place("memory://out")
    numbers = range(200)
    for number in numbers:
        store.pipe_file(f"/in/{number:04}.mp3", b"song")
        for stem in STEMS:
            store.pipe_file(f"/out/{number:04}/{stem}.wav", b"stem")
    songs = list(find_songs(source, target, STEMS, OutputOptions()))
    stamps = dict(target.files())
    for first in range(0, 200, 20):
        # Each part also has a straggler of the part before.
        entries = {
            songs[number].name: Entry(
                source.state(songs[number].name, songs[number].stamp),
                "settings",
                {stem: stamps[stem] for stem in songs[number].stems.values()},
            )
            for number in [max(0, first - 3), *range(first, first + 20)]
            if number % 20 != 17 or number < first
        }
        target.write(*new_part(entries))
    journal = StoreJournal(source, target, "settings")
    n_open = []
    for first in range(0, 200, 10):
        lot = songs[first : first + 10]
        finished = journal.finished(lot)
        n_open.append(len(journal._parts._open))
        assert finished == {song.name for song in lot if song.name != "0197.mp3"}
    assert max(n_open) <= 2
    assert StoreJournal(source, target, "other settings").finished(songs) == set()
    store.pipe_file("/out/0100/vocals.wav", b"")
    assert {song.name for song in songs} - StoreJournal(source, target, "settings").finished(songs) == {
        "0100.mp3",
        "0197.mp3",
    }


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.text(string.printable + "äß\U0001f3b5", min_size=1, max_size=150), min_size=1, max_size=5, unique=True)
)
def test_a_part_comes_before_its_songs(names):
    entry = Entry({}, "", {})
    part, raw = new_part(dict.fromkeys(names, entry))
    assert lowest_song(part) <= min(map(sort_key, names))
    assert len(part) <= 255
    assert raw.count(b"\n") == len(names) + 1


WORDS = st.text("ab.", min_size=1, max_size=3).map(lambda word: f"{word}x")


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from(["", "a/", "a/b/", "b/"]), WORDS, st.sampled_from(["mp3", "wav"])), unique=True),
    st.sampled_from(["{filename}/{stem}.{codec}", "{stem}/{filename}", "{foldername} {stem}", "{filename:.2}_{stem}"]),
)
def test_songs_of_one_name_are_found_without_holding_all_names(found, template):
    """The owners that are still known are enough: as many songs are refused as if all were."""
    names = sorted(f"{folder}{word}.{extension}" for folder, word, extension in found)
    source, target, options = Place("memory://in"), Place("memory://out"), OutputOptions(filename_format=template)
    owners, taken = _Owners(target, template), {}
    for name in names:
        targets = stem_targets(name, source, target, STEMS, options)
        clash = next((taken[stem] for stem in targets.values() if stem in taken), None)
        if clash is None:
            owners.take(name, targets)
            taken.update(dict.fromkeys(targets.values(), name))
        else:
            with pytest.raises(OptionError, match="already taken by"):
                owners.take(name, targets)


def test_a_password_in_an_address_is_in_no_journal_and_no_message():
    """The journal lies beside the stems, for whoever may have those, and messages go to logs."""
    store, target = memory_store(), Place("memory://out")
    source = Place("memory://band:secret@host/songs")
    store.pipe_file("/band:secret@host/songs/a.mp3", b"song")
    assert [name for name, _ in source.files()] == ["a.mp3"]
    journal = StoreJournal(source, target, "settings")
    journal.record("a.mp3", source.state("a.mp3"), {"a/vocals.wav": (1, 1)})
    journal.close()
    (written,) = [store.cat_file(f"/out/{name}").decode() for name, _ in target.files()]
    assert "memory://band@host/songs/a.mp3" in written
    assert "secret" not in written
    with pytest.raises(AudioReadError, match=r"no audio files in memory://band@host/none$"):
        list(find_songs(Place("memory://band:secret@host/none"), target, STEMS, OutputOptions()))
    with pytest.raises(AudioReadError, match=r"cannot fetch memory://band@host/songs/b.mp3"):
        source.fetch("b.mp3", "/dev/null")
    with pytest.raises(OptionError, match="cannot use none://band@host/songs"):
        Place("none://band:secret@host/songs").check()


def test_a_journal_from_elsewhere_hides_no_song_but_those_below_it():
    """An album from a stranger may have a journal in it."""
    store = memory_store()
    for name in ("album/one.mp3", "album/two.mp3", "song.mp3"):
        store.pipe_file(f"/in/{name}", b"song")
    entry = Entry({}, "settings", dict.fromkeys(("one.mp3", "x/../../song.mp3", "../song.mp3", "/song.mp3"), (1, 1)))
    store.pipe_file("/in/album/unweave-journal.jsonl", entry.line().encode())
    store.pipe_file("/in/album/!unweave-journal-00.00000000000000000001-00000000.jsonl", entry.line().encode())
    found = find_songs(Place("memory://in"), Place("memory://out"), STEMS, OutputOptions())
    assert [song.name for song in found] == ["album/two.mp3", "song.mp3"]

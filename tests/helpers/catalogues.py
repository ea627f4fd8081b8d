"""Small catalogues, and runs over them in this very process, without Ray."""

from contextlib import closing

from tests.audio.test_files import write
from tests.helpers.signals import tones
from unweave.cluster.journal import open_journal
from unweave.cluster.places import Place
from unweave.cluster.run import separate_catalogue
from unweave.cluster.songs import find_songs
from unweave.cluster.worker import Work, Worker
from unweave.separation.output import OutputOptions


def catalogue(folder, n_files, n_samples=20_000):
    """Songs of different lengths in seven folders."""
    for number in range(n_files):
        write(folder / f"disc {number % 7}" / f"{number:03}.wav", tones(n_samples)[:, : n_samples - number])
    return folder


def work(source, target, toy_json):
    """The work of separating all of ``source`` into ``target`` with a toy model."""
    return Work(Place(str(source)), Place(str(target)), str(toy_json), OutputOptions(), None, {"threads": 1})


def memory_store():
    """An empty store in memory, at ``memory://``."""
    import fsspec

    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    return store


def songs_of(work):
    """The songs that a run finds."""
    worker = Worker(work)
    return list(find_songs(work.source, work.target, worker.chosen_stems(), work.output))


def run_here(work, **options):
    """A run in this process: its summary, and its results by name."""
    worker, results = Worker(work), {}

    def pool(songs, should_stop):
        return (worker.separate(song) for song in songs if song)

    def note(result, summary):
        assert result.name not in results
        results[result.name] = result

    songs = find_songs(work.source, work.target, worker.chosen_stems(), work.output)
    with closing(open_journal(work.source, work.target, work.settings())) as journal:
        return separate_catalogue(songs, journal, pool, on_result=note, **options), results

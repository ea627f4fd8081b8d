"""All files of a catalogue over a pool of workers: none is lost, none is done twice at once, none stops the rest."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from unweave.cluster.journal import CatalogueJournal, open_journal
from unweave.cluster.metrics import Metrics
from unweave.cluster.pool import RayPool
from unweave.cluster.songs import Song, find_songs
from unweave.cluster.worker import Result, Work
from unweave.errors import AudioWriteError, UnweaveError

log = logging.getLogger(__name__)

SONGS_AT_ONCE = 1000  # looked up in the journal together

# From songs, drawn as there are workers for them, to what became of them; the rest is left once the second says stop.
# None among the songs: none was found in a while, and there is time to take results.
Pool = Callable[[Iterator[Song | None], Callable[[], bool]], Iterable[Result]]


@dataclass
class Summary:
    """How a run went; it grows with the run, not with the catalogue."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    is_listed: bool = False  # whether all songs are known, so that what is left can be counted
    found: int = 0  # songs to be separated, as far as the listing has come
    seconds: float = 0.0  # from the first file to the last, without starting Ray and loading a model
    start_seconds: float = 0.0

    def cost(self, price_per_hour: float) -> float:
        """What the machines cost in the time of the run, starting included, at ``price_per_hour`` for all of them."""
        return (self.start_seconds + self.seconds) / 3600 * price_per_hour


def run_on_ray(
    work: Work,
    *,
    address: str | None = None,
    workers: int | None = None,
    cpus_per_worker: float = 1.0,
    gpus_per_worker: float = 0.0,
    skip_existing: bool = True,
    max_failures: int | None = None,
    on_result: Callable[[Result, Summary], None] = lambda result, summary: None,
    on_start: Callable[[Sequence[Any]], None] = lambda actors: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Separate every audio file below ``work.source``; the order is that of completion.

    A journal in ``work.target`` notes what is done; with ``skip_existing`` songs are skipped whose stems are there,
    from the same file and with the same settings. A song whose stems would overwrite an input or another song's stems
    fails, and its error names both. After more than ``max_failures`` failures, and when ``should_stop`` says so, no
    more files are handed out, and those under way are finished.

    Without ``address`` a Ray of its own is started on this machine, and stopped at the end. A worker that dies is
    replaced, and its files are given to the next that is free. ``on_start`` gets the list of actors, which changes
    as they come and go. Raises `OptionError` where Ray cannot be had, and `Cancelled` where ``should_stop`` says so
    before there is any worker.
    """
    started = time.monotonic()
    work.source.check()
    work.target.check()
    with RayPool(work, address, workers, cpus_per_worker, gpus_per_worker, should_stop) as pool:
        songs = find_songs(work.source, work.target, pool.chosen_stems, work.output)
        songs = chain(list(islice(songs, 1)), songs)  # what cannot be listed is known before anything begins
        metrics = Metrics()

        def show(result: Result, summary: Summary) -> None:
            metrics.count(result)
            on_result(result, summary)

        with closing(open_journal(work.source, work.target, work.settings())) as journal:
            on_start(pool.actors)
            return separate_catalogue(
                songs,
                journal,
                pool.results,
                skip_existing=skip_existing,
                max_failures=max_failures,
                on_result=show,
                should_stop=should_stop,
                summary=Summary(start_seconds=time.monotonic() - started),
            )


def separate_catalogue(
    songs: Iterable[Song],
    journal: CatalogueJournal,
    pool: Pool,
    *,
    skip_existing: bool = True,
    max_failures: int | None = None,
    on_result: Callable[[Result, Summary], None] = lambda result, summary: None,
    should_stop: Callable[[], bool] = lambda: False,
    summary: Summary | None = None,
) -> Summary:
    """Give those ``songs`` to ``pool`` that ``journal`` does not call finished, and note in it what is done.

    ``songs`` is only drawn from as the pool asks for more, `SONGS_AT_ONCE` at a time. Where they or the journal cannot
    be read any further, the songs under way are finished and noted; then the error is raised.
    """
    counts = summary or Summary()
    started = time.monotonic()
    failure: UnweaveError | None = None

    def stops() -> bool:
        return should_stop() or (max_failures is not None and counts.failed > max_failures)

    def finish(result: Result) -> None:
        if result.error:
            counts.failed += 1
        else:
            counts.done += 1
            _record(journal, result)
        on_result(result, counts)

    def todo() -> Iterator[Song | None]:
        nonlocal failure
        try:
            for lot in _lots(songs):
                finished = journal.finished(lot) if skip_existing else set()
                for song in lot:
                    if stops():
                        return
                    if song.name in finished:
                        counts.skipped += 1
                        continue
                    counts.found += 1
                    if song.error:
                        finish(Result(song.name, {}, song.error))
                    else:
                        yield song
                if len(lot) == SONGS_AT_ONCE:  # or it is the last
                    yield None
            counts.is_listed = True
        except UnweaveError as error:
            failure = error

    for result in pool(todo(), stops):
        finish(result)
    if failure is not None:
        raise failure
    counts.seconds = time.monotonic() - started
    return counts


def _lots(songs: Iterable[Song]) -> Iterator[list[Song]]:
    drawn = iter(songs)
    while lot := list(islice(drawn, SONGS_AT_ONCE)):
        yield lot


def _record(journal: CatalogueJournal, result: Result) -> None:
    """Note that a song is done; where that cannot be written, its stems are there all the same."""
    try:
        if result.source:
            journal.record(result.name, result.source, result.stamps)
    except AudioWriteError as error:
        log.warning("%s is done, but the next run will separate it again: %s", result.name, error)

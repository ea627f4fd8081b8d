"""The order of the songs that wait: changed by their owner, kept through restarts, whatever else happens meanwhile."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.studio.conftest import until
from unweave.errors import ModelError
from unweave.studio.queue import JobQueue
from unweave.studio.refusals import Refused
from unweave.studio.settings import Settings
from unweave.studio.store import Job, JobStore


def store_with(folder, names):
    """A store whose jobs wait in the order of ``names``."""
    store = JobStore(folder)
    for name in names:
        identifier, _ = store.new_folder()
        store.add(Job(identifier, name, "toy", "balanced"))
    return store


def queue_of(folder, store, open_model=None):
    return JobQueue(Settings(folder=folder), store, open_model)


def order(store):
    return [job.name for job in store.waiting()]


def named(store, name):
    return next(job.id for job in store.all() if job.name == name)


@pytest.mark.parametrize(
    ("name", "place", "expected"),
    [("d", 0, "dabc"), ("a", 2, "bcad"), ("a", 99, "bcda"), ("b", 1, "abcd"), ("c", 1, "acbd")],
)
def test_a_song_is_moved_and_the_others_keep_their_order(tmp_path, name, place, expected):
    store = store_with(tmp_path, "abcd")
    queue_of(tmp_path, store).move(named(store, name), place)
    assert order(store) == list(expected)
    assert order(JobStore(tmp_path)) == list(expected)  # after a restart


@settings(deadline=None, max_examples=20)
@given(moves=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 4)), max_size=6))
def test_whatever_is_moved_ends_where_it_was_put(tmp_path_factory, moves):
    folder = tmp_path_factory.mktemp("queue")
    store = store_with(folder, "abcd")
    queue = queue_of(folder, store)
    names = list("abcd")
    for name, place in moves:
        queue.move(named(store, name), place)
        names.remove(name)
        names.insert(place, name)
    assert order(store) == names


def test_jobs_of_older_versions_wait_in_the_order_of_their_arrival(tmp_path):
    store = store_with(tmp_path, "abc")
    for created, name in enumerate("abc"):
        store.update(named(store, name), turn=0, created=float(created))
    assert order(store) == list("abc")
    queue_of(tmp_path, store).move(named(store, "c"), 0)
    assert order(store) == list("cab")


def test_only_what_waits_is_moved(tmp_path):
    store = store_with(tmp_path, "ab")
    store.update(named(store, "a"), state="running")
    with pytest.raises(Refused) as refused:
        queue_of(tmp_path, store).move(named(store, "a"), 1)
    assert (refused.value.code, refused.value.status) == ("not_waiting", 409)


def test_songs_are_run_in_their_order_and_a_new_one_last(tmp_path):
    """What was running when the server was killed is begun anew before all others."""
    store = store_with(tmp_path, "abc")
    store.update(named(store, "a"), state="running")
    queue = queue_of(tmp_path, store)
    queue.move(named(store, "c"), 0)
    identifier, _ = store.new_folder()
    store.add(Job(identifier, "d", "toy", "balanced"))
    begun = []
    numbers = itertools.count()

    def refuse(model, quality):
        begun.append(next(job.name for job in store.all() if job.state == "running"))
        raise ModelError(f"no model {next(numbers)}")

    reborn = queue_of(tmp_path, store, refuse)
    reborn.start()
    until(lambda: all(job.state == "failed" for job in store.all()))
    reborn.stop()
    assert begun == list("acbd")

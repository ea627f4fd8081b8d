"""Workers on Ray: as many as there is room for, each with a file and one that waits, replaced when they die."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    WorkerCrashedError,
)

import unweave
from unweave.cluster.songs import Song
from unweave.cluster.worker import Result, Work, Worker
from unweave.engines.processors import available_processors
from unweave.environment import environment
from unweave.errors import Cancelled, OptionError, UnweaveError

log = logging.getLogger(__name__)

COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
FOLDER_WITHOUT_MODULES = Path(unweave.__file__).parent / "models" / "weights"
RAY_ON_NETWORK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
OWN_ERROR = re.compile(r"^unweave\.errors\.\w+: ")

IN_FLIGHT_PER_WORKER = 2  # one is computed while the next waits: more would only be lost with the worker
RETRIES = 3  # of a file whose worker dies; one that kills four workers is at fault itself
# Whatever an actor is asked after Ray has ended it for want of memory is an OutOfMemoryError.
DEATHS = (RayActorError, ObjectLostError, OutOfMemoryError, WorkerCrashedError, NodeDiedError)
SECONDS_BETWEEN_COUNTS = 5.0  # of the cluster's processors: nodes come and go
SECONDS_WITHOUT_WORKERS = 60.0  # until a warning
SECONDS_AFTER_FAILED_START = 60.0  # until others are tried: what is wrong with a machine may pass


@dataclasses.dataclass
class _Given:
    """A song under way, how many workers died over it, and who has it."""

    song: Song
    deaths: int
    actor: Any


class RayPool:
    """A Ray, and `Worker` actors in it; a context manager, after which all of them are gone.

    Raises `OptionError` where Ray cannot be had. A worker that cannot start is a warning as long as another can; where
    none can, what the last of them raised is raised, as `UnweaveError`. While the first is awaited, ``should_stop`` is
    asked, and `Cancelled` is raised once it says so.
    """

    def __init__(
        self,
        work: Work,
        address: str | None = None,
        n_workers: int | None = None,
        cpus_per_worker: float = 1.0,
        gpus_per_worker: float = 0.0,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._work = work
        self._address = address
        self._n_workers = n_workers
        self._cpus, self._gpus = cpus_per_worker, gpus_per_worker
        self._should_stop = should_stop
        self._remote: Any = ray.remote(num_cpus=cpus_per_worker, num_gpus=gpus_per_worker)(Worker)
        self._starting: dict[Any, Any] = {}  # a reference that is ready when its actor is → the actor
        self.actors: list[Any] = []  # those that can be given files
        self._identity = ""  # of the first worker
        self._failure = ""  # why the last worker that could not start could not
        self._told = {""}  # the failures that there was a warning about
        self._n_lost = 0  # how often the last worker of all died while it started, since one could
        self._not_before = float("-inf")  # the time when workers may be started again

    def __enter__(self) -> RayPool:
        _connect(self._address)
        try:
            if self._address is None:  # to a cluster, machines with more may come
                self._check_machine()
            with suppress(*DEATHS):  # it may be only that machine
                self._start_some(1)
            if not self.actors:
                self._start_some(min(self._n_workers or sys.maxsize, self._room()))
            self.chosen_stems: tuple[str, ...] = ray.get(self.actors[0].chosen_stems.remote())
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ray.shutdown()
        if isinstance(error, RayError):
            cause = getattr(error, "cause", None)
            if isinstance(cause, UnweaveError):
                raise cause from error
            raise OptionError(f"Ray cannot start the workers: {_one_line(error)}") from error

    def results(
        self, songs: Iterator[Song | None], should_stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Result]:
        """What became of each of ``songs``, as it comes; None among them: no song yet, but there may be more.

        Songs are drawn as workers have room for them, and never are more than `IN_FLIGHT_PER_WORKER` with one. Workers
        are started while there are songs for them, and where nodes die or come, others take their place. Once
        ``should_stop`` says so, only those under way are finished.
        """
        again: list[_Given] = []
        drawn = _Drawn(songs)
        pending: dict[Any, _Given] = {}
        counted, idle_since = float("-inf"), time.monotonic()
        while True:
            if time.monotonic() - counted > SECONDS_BETWEEN_COUNTS:
                counted, wanted = time.monotonic(), self._n_workers or self._room()
            if should_stop():
                again.clear()
                drawn.stop()
            drawn.is_looking = False
            self._give(again, drawn, pending, wanted)
            if not (pending or again or drawn.waiting(1)) and drawn.is_over:
                return
            idle_since = time.monotonic() if self.actors else self._warned(idle_since)
            for reference in self._finished(pending, drawn):
                if reference in self._starting:
                    self._greet(reference)
                    continue
                given = pending.pop(reference)
                try:
                    yield ray.get(reference)
                except DEATHS as error:
                    self._bury(given.actor)
                    given.deaths += not getattr(error, "preempted", False)  # a machine that is taken away is no fault
                    if given.deaths <= RETRIES:
                        again.append(given)
                    else:
                        yield Result(given.song.name, {}, f"its worker died {given.deaths} times: {_one_line(error)}")
                except RayError as error:
                    yield Result(given.song.name, {}, _one_line(error))

    def _give(self, again: list[_Given], drawn: _Drawn, pending: dict[Any, _Given], wanted: int) -> None:
        """Files to the workers, first to those that have none; and more workers, where files are left."""
        load = dict.fromkeys(self.actors, 0)
        for given in pending.values():
            if given.actor in load:
                load[given.actor] += 1
        for room in range(IN_FLIGHT_PER_WORKER):
            for actor in [each for each, n_files in load.items() if n_files <= room]:
                chosen = again.pop() if again else drawn.next()
                if chosen is None:
                    return
                chosen.actor = actor
                pending[actor.separate.remote(chosen.song)] = chosen
                load[actor] += 1
        while len(self.actors) + len(self._starting) < wanted and time.monotonic() > self._not_before:
            if len(again) + drawn.waiting(len(self._starting) + 1) <= len(self._starting):
                return
            self._start()

    def _finished(self, pending: Mapping[Any, _Given], drawn: _Drawn) -> list[Any]:
        """What is ready of all that is under way; waits a second for it, but not while songs are looked for."""
        under_way = [*pending, *self._starting]
        seconds, n_most = (0.0, len(under_way)) if drawn.is_looking else (1.0, 1)
        if under_way:
            finished: list[Any] = ray.wait(under_way, num_returns=n_most, timeout=seconds)[0]
            return finished
        time.sleep(seconds)
        return []

    def _start_some(self, n_workers: int) -> None:
        """Start so many workers, and wait for the first of them."""
        for _ in range(n_workers):
            self._start()
        waiting_since = time.monotonic()
        while not self.actors:
            if self._should_stop():
                raise Cancelled("stopped before there was a worker")
            if not self._starting:  # their machines died
                self._start()
            for reference in ray.wait([*self._starting], timeout=1.0)[0]:
                self._greet(reference)
            waiting_since = self._warned(waiting_since)

    def _check_machine(self) -> None:
        """Raise `OptionError` where a Ray of this machine alone has no room for any worker: it would wait for ever."""
        has: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        for name, resource, needed in (("graphics cards", "GPU", self._gpus), ("processors", "CPU", self._cpus)):
            if has.get(resource, 0.0) < needed:
                found = has.get(resource, 0.0)
                raise OptionError(f"a worker needs {needed:g} of the machine's {name}, and Ray finds {found:g}")

    def _warned(self, since: float) -> float:
        """Say that there has been no worker ``since`` then, if that is long ago; from when to count on."""
        if time.monotonic() - since <= SECONDS_WITHOUT_WORKERS:
            return since
        card = " or graphics card" if self._gpus else ""
        log.warning("no worker is ready yet; either no processor%s of the cluster is free, or it loads the model", card)
        return time.monotonic()

    def _start(self) -> None:
        # A Ray of our own was started elsewhere (`_away_from_the_songs`).
        folder = {} if self._address else {"folder": os.getcwd()}
        actor = self._remote.remote(self._work, **folder)
        self._starting[actor.identity.remote()] = actor

    def _greet(self, reference: Any) -> None:
        """Take in an actor that has started, or that could not; raises its error if there is no other.

        Where a node or a process died meanwhile, another actor is started by and by; but one after another is not.
        An actor that separates with something else than the first could not start either: a machine may have another
        version, or may not be able to download the model and make do with a smaller one.
        """
        actor = self._starting.pop(reference)
        try:
            identity = ray.get(reference)
        except DEATHS as error:
            self._failure = _one_line(error)
            is_last = not (self.actors or self._starting)
            self._n_lost += is_last
            if _is_unable(error):
                self._not_before = time.monotonic() + SECONDS_AFTER_FAILED_START
            if is_last and (_is_unable(error) or self._n_lost > RETRIES):
                raise
        else:
            self._identity = self._identity or identity
            if identity == self._identity:
                self.actors.append(actor)
                self._n_lost = 0
            else:
                self._failure = f"it has {identity}, and the first worker has {self._identity}"
                self._not_before = time.monotonic() + SECONDS_AFTER_FAILED_START
                ray.kill(actor)
        if self.actors and self._failure not in self._told:
            self._told.add(self._failure)
            log.warning("a worker could not start, and the others go on without it: %s", self._failure)

    def _bury(self, actor: Any) -> None:
        """Forget ``actor``, and end it, should it only be cut off."""
        if actor in self.actors:
            self.actors.remove(actor)
            with suppress(Exception):
                ray.kill(actor)

    def _room(self) -> int:
        """For how many workers the cluster has processors."""
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        return max(1, int(resources.get("CPU", 1.0) // self._cpus))


class _Drawn:
    """``songs``, of which some are drawn ahead to know how many workers they are enough for."""

    def __init__(self, songs: Iterator[Song | None]) -> None:
        self._songs = songs
        self._ahead: deque[Song] = deque()
        self.is_over = False  # nothing more comes
        self.is_looking = False  # too few came when they were last asked for, and more may come

    def next(self) -> _Given | None:
        """The next song; None where there is none yet, or no more."""
        return _Given(self._ahead.popleft(), 0, None) if self.waiting(1) else None

    def waiting(self, enough: int) -> int:
        """How many songs are left, as far as it matters whether there are ``enough``, and as far as is known."""
        while not self.is_over and len(self._ahead) < enough:
            try:
                song = next(self._songs)
            except StopIteration:
                self.is_over = True
                break
            if song is None:
                break
            self._ahead.append(song)
        self.is_looking = len(self._ahead) < enough and not self.is_over
        return len(self._ahead)

    def stop(self) -> None:
        """Let go of all that are left."""
        self.is_over = True
        self._ahead.clear()


def _connect(address: str | None) -> None:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported about the user's machines
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        # By the quota of the container, too: Ray would count the processors of the machine.
        options |= {"include_dashboard": False, "num_cpus": available_processors()}
    on_termination = signal.getsignal(signal.SIGTERM)
    try:
        with _away_from_the_songs(), nullcontext() if address else _only_on_this_machine():
            ray.init(address=address or "local", **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise OptionError(f"there is no Ray cluster at {address}: {_one_line(error)}") from error
    if on_termination is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_termination)  # Ray's own would end the run before its files are finished


@contextmanager
def _away_from_the_songs() -> Iterator[None]:
    """Inside, the current folder is one without modules.

    Workers import from the folder in which the driver connects to Ray, before all others; among a stranger's songs may
    lie a numpy.py.
    """
    here = os.getcwd()
    # Which the workers read, too. An empty part stands for the current folder.
    paths = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.chdir(FOLDER_WITHOUT_MODULES)
    try:
        with environment({"PYTHONPATH": os.pathsep.join(paths)}):
            yield
    finally:
        os.chdir(here)


@contextmanager
def _only_on_this_machine() -> Iterator[None]:
    """Inside, a Ray that is started listens to no network, as on Windows and macOS; on Linux it would, to all.

    Whoever reaches a Ray can have it run anything, and older versions ask nobody for a token. Ray reads the variable
    when it is imported, so that its constant changes with it; the processes that it starts have the variable alone.
    """
    from ray._private import ray_constants

    before = getattr(ray_constants, "ENABLE_RAY_CLUSTER", None)  # a private name, which may go
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        with environment({RAY_ON_NETWORK: "0"}):
            yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _is_unable(error: RayError) -> bool:
    """Whether a worker that died while it started would die again on that machine."""
    is_own = getattr(error, "actor_init_failed", False) or isinstance(getattr(error, "cause", None), UnweaveError)
    return is_own or isinstance(error, OutOfMemoryError)


def _one_line(error: BaseException) -> str:
    """What an error of Ray's comes down to: the last line of its traceback, without colours."""
    if isinstance(error, OutOfMemoryError):
        return "its machine ran out of memory"
    lines = [line.strip() for line in COLOURS.sub("", str(error)).splitlines() if line.strip()]
    if len(lines) > 1 and lines[-1].startswith("The actor never ran"):  # before that stands why
        lines.pop()
    return OWN_ERROR.sub("", lines[-1])[:500] if lines else type(error).__name__

"""A pool of threads that also works in a forked child."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from unweave.forks import after_fork

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """``n_threads`` threads called ``name``, started when there is work.

    Threads do not survive a fork (gunicorn, celery, multiprocessing): the child would wait for them for ever. So the
    pool is made anew in a process that did not make it. Work that was submitted before the fork stays the parent's.
    """

    def __init__(self, n_threads: int, name: str) -> None:
        self._n_threads, self._name = n_threads, name
        self._turn = threading.Lock()
        self._process: int | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._is_closed = False
        after_fork(self._renew)  # a lock held by another thread at the fork stays locked in the child

    def submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have ``work`` done by one of the threads. Raises RuntimeError after `close`."""
        with self._turn:
            if self._is_closed:
                raise RuntimeError("these workers have been closed")
            if self._pool is None or self._process != os.getpid():
                self._pool = ThreadPoolExecutor(self._n_threads, thread_name_prefix=self._name)
                self._process = os.getpid()
            return self._pool.submit(work, *args, **kwargs)

    def close(self) -> None:
        """Let the threads finish what they have begun, drop the rest, and take no more; may be called again."""
        with self._turn:
            self._is_closed = True
            if self._pool is not None and self._process == os.getpid():
                self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _renew(self) -> None:
        self._turn = threading.Lock()
        self._pool = None

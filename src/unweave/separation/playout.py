"""Live separation between a sound card that listens and one that plays: each sample at its own time, or not at all."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from unweave.types import Waveform

MOST_SECONDS_BEHIND = 1.0  # what is heard later than this is not separated any more


class Playout:
    """A queue with a constant delay: sample number n that is pushed is sample number n + ``delay`` that is taken.

    Where a sample is not there in time, silence is played in its place, and the sample is dropped when it comes, so
    that whatever comes after it is on time again. `push` and `take` may be called from different threads.
    """

    def __init__(self, n_channels: int, delay: int) -> None:
        self._n_channels = n_channels
        self._parts: deque[Waveform] = deque()
        self._next_pushed = 0  # number of the first sample that was not pushed yet
        self._next_taken = -delay  # number of the sample that is due next
        self._turn = threading.Lock()
        self.n_dropouts = 0  # stretches of silence for what was late

    def push(self, samples: Waveform) -> None:
        """The next samples (channels, n)."""
        with self._turn:
            self._next_pushed += samples.shape[1]
            n_timely = min(samples.shape[1], self._next_pushed - self._next_taken)
            if n_timely > 0:
                self._parts.append(samples[:, samples.shape[1] - n_timely :])

    def take(self, n_samples: int) -> Waveform:
        """What is due now, (channels, n_samples)."""
        taken = np.zeros((self._n_channels, n_samples), np.float32)
        with self._turn:
            position = min(n_samples, max(0, -self._next_taken))  # silence before the first sample
            while position < n_samples and self._parts:
                part = self._parts.popleft()
                n_used = min(part.shape[1], n_samples - position)
                taken[:, position : position + n_used] = part[:, :n_used]
                if n_used < part.shape[1]:
                    self._parts.appendleft(part[:, n_used:])
                position += n_used
            self._next_taken += n_samples
            self.n_dropouts += position < n_samples
        return taken


class LiveWorker:
    """A thread that has ``work`` done on what is heard and gives the result to ``playout``.

    ``work`` takes and gives blocks (2, n). An exception in it ends the thread; `check` raises it where the caller can
    see it. A thread that has fallen behind by more than a second skips what it has not heard yet.
    """

    def __init__(self, work: Callable[[Waveform], Waveform], playout: Playout, sample_rate: int) -> None:
        self._work, self._playout = work, playout
        self._most_behind = round(MOST_SECONDS_BEHIND * sample_rate)
        self._heard: queue.Queue[Waveform | None] = queue.Queue()
        self._n_waiting = 0
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="unweave-live", daemon=True)
        self._thread.start()

    def hear(self, block: Waveform) -> None:
        """The next samples (2, n), which must not change afterwards; returns at once."""
        self._n_waiting += block.shape[1]
        self._heard.put(block)

    def check(self) -> None:
        """Raise what went wrong in the thread, if anything did."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """End the thread after what it is doing now."""
        self._heard.put(None)
        self._thread.join()

    def _run(self) -> None:
        n_done = 0
        try:
            while (block := self._heard.get()) is not None:
                n_behind = self._n_waiting - n_done
                n_done += block.shape[1]
                if n_behind > self._most_behind:
                    self._playout.push(np.zeros_like(block))
                else:
                    self._playout.push(self._work(block))
        except BaseException as error:
            self._failure = error

"""What a run counts in Ray's own metrics, which Prometheus reads from every node."""

from __future__ import annotations

from ray.util.metrics import Counter, Histogram

from unweave.cluster.worker import Result

SECONDS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


class Metrics:
    """Songs by outcome, seconds of audio, and seconds of work per song, as Ray has them: with ``ray_`` before."""

    def __init__(self) -> None:
        self._songs = Counter("unweave_songs", "Songs, by outcome: done or failed.", tag_keys=("outcome",))
        self._audio = Counter("unweave_audio_seconds", "Seconds of audio that were separated.")
        self._work = Histogram("unweave_song_seconds", "Seconds a song took its worker.", boundaries=SECONDS)

    def count(self, result: Result) -> None:
        """Take in ``result``."""
        self._songs.inc(tags={"outcome": "failed" if result.error else "done"})
        if result.audio_seconds > 0:
            self._audio.inc(result.audio_seconds)
        if result.seconds > 0:
            self._work.observe(result.seconds)

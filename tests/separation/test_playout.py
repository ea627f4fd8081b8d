"""Between two sound cards: what is late is left out, so that the delay stays what it was."""

import sys
import threading
import types

import numpy as np
import pytest

from unweave.errors import UnweaveError
from unweave.separation.playout import LiveWorker, Playout


def ramp(start, stop):
    return np.tile(np.arange(start, stop, dtype=np.float32), (2, 1))


def test_samples_come_after_the_delay():
    playout = Playout(2, 30)
    playout.push(ramp(1, 101))
    taken = playout.take(50)
    assert (taken.shape, taken.dtype) == ((2, 50), np.float32)
    np.testing.assert_array_equal(taken[0], [0] * 30 + list(range(1, 21)))
    np.testing.assert_array_equal(playout.take(80), ramp(21, 101))
    assert playout.n_dropouts == 0


def test_what_is_late_is_dropped_and_the_rest_is_on_time():
    playout = Playout(2, 0)
    played = []
    for k in range(100):  # blocks of ten; every seventh comes with the one after it, too late
        if k % 7 != 6:
            playout.push(ramp(10 * (k - (k % 7 == 0 and k > 0)) + 1, 10 * k + 11))
        played.append(playout.take(10))
    whole = np.concatenate(played, axis=1)[0]
    expected = np.arange(1, 1001)
    wrong = whole != expected
    assert set(whole[wrong]) == {0}  # silence in place of what was late, never another sample
    assert playout.n_dropouts == 14
    assert np.count_nonzero(wrong) == 140


def test_a_worker_that_fails_is_heard_of():
    def work(block):
        raise UnweaveError("the networks are gone")

    worker = LiveWorker(work, Playout(2, 0), 100)
    worker.check()
    worker.hear(ramp(0, 10))
    worker._thread.join(30)
    with pytest.raises(UnweaveError, match="the networks are gone"):
        worker.check()
    worker.close()


def test_a_worker_that_falls_behind_skips_what_it_cannot_make_up_for():
    may_go_on, first_is_heard = threading.Event(), threading.Event()

    def work(block):
        first_is_heard.set()
        may_go_on.wait(30)
        return block

    playout = Playout(2, 0)
    worker = LiveWorker(work, playout, 100)  # a second is 100 samples
    worker.hear(ramp(1, 11))
    assert first_is_heard.wait(30)
    for start in range(11, 401, 10):
        worker.hear(ramp(start, start + 10))
    may_go_on.set()
    worker.close()
    played = playout.take(400)[0]
    np.testing.assert_array_equal(played[:10], np.arange(1, 11))
    np.testing.assert_array_equal(played[10:300], 0)
    np.testing.assert_array_equal(played[300:], np.arange(301, 401))


class Card:
    """A sound card that plays `n_blocks` blocks and goes on being there until it is closed."""

    n_blocks = 40
    played: list = []  # noqa: RUF012

    def __init__(self, *, samplerate, blocksize, channels, dtype, device, callback):
        self.active = True
        self._callback, self._size = callback, blocksize

    def __enter__(self):
        for number in range(self.n_blocks):
            out = np.empty((self._size, 2), np.float32)
            self._callback(np.full((self._size, 2), number / 100, np.float32), out, self._size, None, None)
            Card.played.append(out)
        return self

    def __exit__(self, *_):
        pass


class PortAudioError(Exception):
    pass


def test_the_command_ends_with_the_error_of_its_worker(toy_json, monkeypatch):
    from click.testing import CliRunner

    from unweave.cli.main import app
    from unweave.separation.live import LiveStream

    monkeypatch.setitem(
        sys.modules, "sounddevice", types.SimpleNamespace(Stream=Card, PortAudioError=PortAudioError, __spec__=sys)
    )

    def broken(self, block):
        raise UnweaveError("the graphics processor fell off")

    monkeypatch.setattr(LiveStream, "push", broken)
    result = CliRunner().invoke(app, ["live", "-p", str(toy_json), "--latency", "20"])
    assert result.exit_code == 1
    assert "the graphics processor fell off" in result.output


def test_a_card_that_stops_ends_the_command(toy_json, monkeypatch):
    from click.testing import CliRunner

    from unweave.cli.main import app

    class Unplugged(Card):
        def __init__(self, **options):
            super().__init__(**options)
            self.active = False

    monkeypatch.setitem(
        sys.modules, "sounddevice", types.SimpleNamespace(Stream=Unplugged, PortAudioError=PortAudioError, __spec__=sys)
    )
    result = CliRunner().invoke(app, ["live", "-p", str(toy_json), "--latency", "20"])
    assert result.exit_code == 1
    assert "the sound card stopped" in result.output

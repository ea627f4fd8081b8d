"""A separator in a process that was forked after it had been used, and one that was closed."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from tests.helpers.signals import tones
from unweave import OptionError, Separator
from unweave.separation.workers import Workers

FORKED = """
import os, signal, sys
import numpy as np
from unweave import Separator
signal.alarm(100)
separator = Separator(sys.argv[1], device="cpu", precision=sys.argv[2])
mixture = np.random.default_rng(0).standard_normal((2, 30_000)).astype(np.float32) / 10
if sys.argv[3] == "used":
    expected = separator.separate(mixture, 44100)["vocals"]
if child := os.fork():
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    again = separator.separate(mixture, 44100)["vocals"]  # the parent goes on as well
    sys.exit(status or (sys.argv[3] == "used" and not np.array_equal(again, expected)))
signal.alarm(60)
try:
    stems = separator.separate(mixture, 44100)
except Exception as error:
    print(error, file=sys.stderr, flush=True)
    os._exit(1)
os._exit(0 if stems.n_samples == 30_000 and (sys.argv[3] != "used" or np.array_equal(stems["vocals"], expected)) else 3)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize(
    ("precision", "use"), [("float32", "used"), ("float32", "unused"), ("bfloat16", "unused"), ("bfloat16", "used")]
)
def test_a_forked_child_separates_or_says_why_not(toy_json, precision, use):
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED, str(toy_json), precision, use]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if (precision, use) == ("bfloat16", "used"):  # OpenVINO's own threads cannot be made anew
        assert run.returncode == 1
        assert "forked after its first use" in run.stderr
    else:
        assert run.returncode == 0, run.stderr


def test_the_pool_is_made_anew_in_a_child(monkeypatch):
    workers = Workers(1, "test")
    first = workers.submit(threading.get_ident).result()
    monkeypatch.setattr(os, "getpid", lambda: -1)  # what a fork looks like from inside
    assert workers.submit(threading.get_ident).result() != first
    workers.close()
    workers.close()
    with pytest.raises(RuntimeError, match="closed"):
        workers.submit(print)


def test_what_has_not_begun_when_the_pool_closes_is_never_done():
    workers, may_go_on, begun = Workers(1, "test"), threading.Event(), threading.Event()

    def work():
        begun.set()
        may_go_on.wait(30)
        return "done"

    first, second = workers.submit(work), workers.submit(print)
    assert begun.wait(30)
    workers.close()  # without waiting
    may_go_on.set()
    assert first.result(30) == "done"
    assert second.cancelled()


def test_a_closed_separator_says_so(toy_json):
    mixture, before = tones(3000), set(threading.enumerate())
    with Separator(str(toy_json)) as separator:
        stem = separator.separate(mixture, 44100)["vocals"]
        assert np.abs(stem).max() > 0
    for call in (lambda: separator.separate(mixture, 44100), lambda: separator.stream(44100)):
        with pytest.raises(OptionError, match="closed"):
            call()
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
        assert not thread.is_alive()

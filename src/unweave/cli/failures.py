"""From exceptions to one clear line and an exit status."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from unweave.cli.console import print_any_name, visible
from unweave.errors import Cancelled, OptionError, UnweaveError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

LACKS_LIBRARY = "DLL load failed"  # what Python says on Windows; ONNX Runtime and PyTorch bring not all that they need
REDISTRIBUTABLE = "https://aka.ms/vs/17/release/vc_redist.x64.exe"


# Set by Ctrl-C, SIGTERM and a terminal that is closed; commands that work through many files look at it.
interrupted = threading.Event()
_is_deferred = False


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Inside, the first interrupt only sets `interrupted`; the second raises KeyboardInterrupt as usual.

    An exception raised by a signal would be lost if it struck inside a library's callback from C.
    """
    global _is_deferred
    _is_deferred = True
    try:
        yield
    finally:
        _is_deferred = False


@contextmanager
def failures_shown(verbose: bool = False) -> Iterator[None]:
    """Show what goes wrong inside as one line on stderr, and exit with a status; ``verbose`` adds the traceback.

    SIGTERM, for which programs send Ctrl-Break on Windows, is treated like Ctrl-C, so that temporary files are removed,
    and so is the end of the terminal.
    """
    print_any_name()
    _show_warnings(verbose)
    stop = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGBREAK", signal.SIGTERM))
    previous = {number: signal.signal(number, _interrupt) for number in dict.fromkeys(stop)}
    hang_up = getattr(signal, "SIGHUP", None)  # none on Windows
    if hang_up is not None and signal.getsignal(hang_up) == signal.SIG_DFL:  # not under nohup, which has it ignored
        previous[hang_up] = signal.signal(hang_up, _hang_up)
    try:
        yield
    except UnweaveError as error:
        if verbose:
            logging.getLogger("unweave").debug("traceback", exc_info=True)
        fail(str(error))
        if isinstance(error, Cancelled) and interrupted.is_set():
            sys.exit(EXIT_INTERRUPTED)
        sys.exit(EXIT_USAGE if isinstance(error, OptionError) else EXIT_FAILED)
    except KeyboardInterrupt:
        fail("interrupted; no partial file was left")
        sys.exit(EXIT_INTERRUPTED)
    except (SystemError, ImportError) as error:
        if interrupted.is_set():  # what an interrupt in the middle of an import can turn into
            fail("interrupted; no partial file was left")
            sys.exit(EXIT_INTERRUPTED)
        if not str(error).startswith(LACKS_LIBRARY):
            raise
        fail(f"{error} Windows lacks Microsoft's Visual C++ Redistributable, or it is too old: {REDISTRIBUTABLE}")
        sys.exit(EXIT_FAILED)
    except (OSError, MemoryError) as error:  # of the machine, not of unweave: a closed folder, a full disk
        if _has_no_reader(error):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(EXIT_FAILED)
        if verbose:
            logging.getLogger("unweave").debug("traceback", exc_info=True)
        name = getattr(error, "filename", None)
        said = getattr(error, "strerror", None) or str(error) or "there is not enough memory"
        fail(f"{os.fsdecode(name)}: {said}" if isinstance(name, (str, bytes)) else said)
        sys.exit(EXIT_FAILED)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def fail(message: str) -> None:
    """One line on stderr."""
    print(f"unweave: error: {visible(' '.join(message.split()))}", file=sys.stderr)


def _has_no_reader(error: BaseException) -> bool:
    """Whether what is printed goes to a program that has ended, which Windows calls an invalid argument."""
    is_invalid = isinstance(error, OSError) and error.errno == errno.EINVAL and error.filename is None
    return isinstance(error, BrokenPipeError) or (sys.platform == "win32" and is_invalid)


def _interrupt(number: int, frame: object) -> None:
    is_first = not interrupted.is_set()
    interrupted.set()
    if not (_is_deferred and is_first):
        raise KeyboardInterrupt


def _hang_up(number: int, frame: object) -> None:
    """As SIGTERM, by whoever handles that now: a server has a handler of its own."""
    signal.raise_signal(signal.SIGTERM)


def _show_warnings(verbose: bool) -> None:
    logger = logging.getLogger("unweave")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_OneLine("unweave: %(levelname)s: %(message)s"))
        logging.addLevelName(logging.WARNING, "warning")
        logger.addHandler(handler)
    for each in logger.handlers:
        each.removeFilter(_has_no_traceback)
        if not verbose:
            each.addFilter(_has_no_traceback)
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)


class _OneLine(logging.Formatter):
    """Messages on a line each, whatever the names in them hold; tracebacks as they are."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        return visible(super().formatMessage(record))


def _has_no_traceback(record: logging.LogRecord) -> bool:
    """Tracebacks are shown with --verbose only: what they are about is reported in one line anyway."""
    return record.exc_info is None

"""From exceptions to one clear line and an exit status."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from unweave.errors import OptionError, UnweaveError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


@contextmanager
def failures_shown(verbose: bool = False) -> Iterator[None]:
    """Show what goes wrong inside as one line on stderr and end with a status; with ``verbose`` as a traceback too.

    SIGTERM is treated as Ctrl-C is, so that temporary files are removed.
    """
    _show_warnings(verbose)
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except UnweaveError as error:
        if verbose:
            logging.getLogger("unweave").debug("traceback", exc_info=True)
        fail(str(error))
        sys.exit(EXIT_USAGE if isinstance(error, OptionError) else EXIT_FAILED)
    except KeyboardInterrupt:
        fail("interrupted; no partial file was left")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    finally:
        signal.signal(signal.SIGTERM, previous)


def fail(message: str) -> None:
    """One line on stderr."""
    print(f"unweave: error: {' '.join(message.split())}", file=sys.stderr)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _show_warnings(verbose: bool) -> None:
    logger = logging.getLogger("unweave")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("unweave: %(levelname)s: %(message)s"))
        logging.addLevelName(logging.WARNING, "warning")
        logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)

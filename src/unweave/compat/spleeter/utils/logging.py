"""Spleeter's ``spleeter.utils.logging``: for what a script itself has to say. unweave logs as ``unweave``."""

from __future__ import annotations

import logging

logger = logging.getLogger("spleeter")


def get_logger() -> logging.Logger:
    """`logger`, by the name that it had in versions before 2.1."""
    return logger


def configure_logger(verbose: bool) -> None:
    """Show details as well, or no less than before."""
    if verbose:
        logger.setLevel(logging.DEBUG)


def enable_logging() -> None:
    """Nothing to do: messages are shown as soon as this module is imported, as by the original."""


def enable_tensorflow_logging() -> None:
    """Show details as well: there is no TensorFlow whose messages could be shown."""
    configure_logger(True)


class _Shown(logging.Handler):
    """Prints, as the original's: to what standard output is then, for it may have been redirected since."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        try:
            print(self.format(record), flush=True)
        except Exception:
            self.handleError(record)


def _show() -> None:
    handler = _Shown()
    handler.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


_show()

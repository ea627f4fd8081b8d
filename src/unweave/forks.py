"""What must be put right in a child process after a fork."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable


def after_fork(method: Callable[[], None]) -> None:
    """Have ``method``, of some object, called in every child that is forked from now on, as long as the object lives.

    What is registered with Python stays for good, so that the object itself must not be.
    """
    if not hasattr(os, "register_at_fork"):
        return
    remembered = weakref.WeakMethod(method)

    def call() -> None:
        alive = remembered()
        if alive is not None:
            alive()

    os.register_at_fork(after_in_child=call)

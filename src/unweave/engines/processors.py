"""How many processors there are to use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
# What a group may use, in version 2 of Linux's control groups and in version 1: files of a quota and a period.
QUOTAS = (("", ("cpu.max",)), ("cpu", ("cpu.cfs_quota_us", "cpu.cfs_period_us")))


def available_processors(cgroups: Path = CGROUPS, own: Path = OWN) -> int:
    """How many processors this process may use: by its affinity, and by the quotas of its container and control groups.

    ``cgroups`` is where the tree of groups lies, and ``own`` says at which places of it this process is.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = min(_quotas(cgroups, own), default=math.inf)
    return allowed if quota >= allowed else max(1, math.ceil(quota))


def _quotas(cgroups: Path, own: Path) -> Iterator[float]:
    """Processors' worth of time per period that each group around this process gets, where it has a limit."""
    for controller, files in QUOTAS:
        tree = cgroups / controller
        for group in _groups(own, controller):
            with suppress(OSError, ValueError, IndexError):  # "max" is no number: there is no limit
                fields = [field for file in files for field in (tree / group / file).read_text().split()]
                time, every = float(fields[0]), float(fields[1])
                if time > 0 and every > 0:
                    yield time / every


def _groups(own: Path, controller: str) -> Iterator[PurePosixPath]:
    """The group of this process and all around it, relative to the tree's root, which comes last."""
    group = PurePosixPath()
    with suppress(OSError, ValueError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                group = PurePosixPath(path.lstrip("/"))
    if ".." not in group.parts:  # a process that was moved out of its container's part of the tree
        yield group
        yield from group.parents
    else:
        yield PurePosixPath()

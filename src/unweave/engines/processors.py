"""How many processors there are to use."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def available_processors(cgroups: Path = CGROUPS) -> int:
    """How many processors this process may use: by its affinity, and by the quota of its container."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroups)
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def _quota(cgroups: Path) -> float | None:
    """Processors' worth of time per period that the container gets, by Linux's control groups; None without a limit."""
    for limit, period in (("cpu.max", None), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):  # version 2, version 1
        try:
            fields = (cgroups / limit).read_text().split()
            if period is not None:
                fields += (cgroups / period).read_text().split()
            time, every = float(fields[0]), float(fields[1])  # "max" is no number: there is no limit
        except (OSError, ValueError, IndexError):
            continue
        if time > 0 and every > 0:
            return time / every
    return None

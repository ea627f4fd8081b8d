"""What the studio may use and where it keeps things."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


def default_folder() -> Path:
    """Where songs and stems are kept: the user's data folder."""
    return platformdirs.user_data_path("unweave") / "studio"


@dataclass(frozen=True)
class Settings:
    """Limits and places; the defaults suit one person at one machine."""

    folder: Path = field(default_factory=default_folder)
    host: str = "127.0.0.1"
    port: int = 8377
    token: str | None = None  # must be given by whoever is not on this machine
    redis: str | None = None  # address of a Redis for the queue; None: SQLite in the folder
    workers: int = 1  # songs at a time
    max_upload_bytes: int = 1 << 30
    max_seconds: float = 3 * 3600.0  # of a song
    max_queued: int = 50
    max_disk_bytes: int = 20 << 30  # of all jobs together
    keep_days: float = 30.0

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in LOCAL_HOSTS

"""What the studio may use and where it keeps things."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from unweave.errors import OptionError

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


def default_folder() -> Path:
    """Where songs and stems are kept: the user's data folder."""
    return platformdirs.user_data_path("unweave") / "studio"


@dataclass(frozen=True)
class Settings:
    """Limits and places; the defaults suit one person at one machine. Raises `OptionError` for nonsense."""

    folder: Path = field(default_factory=default_folder)
    host: str = "127.0.0.1"
    port: int = 8377
    token: str | None = None  # must be given by whoever is not on this machine
    workers: int = 1  # songs at a time
    max_upload_bytes: int = 1 << 30
    max_seconds: float = 3 * 3600.0  # of a song
    max_queued: int = 50
    max_disk_bytes: int = 20 << 30  # of all jobs together: songs, stems, and what is exported at the moment
    keep_days: float = 30.0

    def __post_init__(self) -> None:
        for name in ("workers", "max_upload_bytes", "max_queued", "max_disk_bytes"):
            if getattr(self, name) < 1:
                raise OptionError(f"expected {name} of at least 1, got {getattr(self, name)}")
        for name in ("max_seconds", "keep_days"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise OptionError(f"expected {name} to be a number above 0, got {value}")
        if not 0 <= self.port <= 65535:
            raise OptionError(f"expected a port from 0 to 65535, got {self.port}")
        if not self.is_local and self.token is None:
            raise OptionError(f"anyone who can reach {self.host} could get in: give an access token")
        if self.token is not None and not self.token.strip():
            raise OptionError("the access token is empty, so anyone could get in; choose another one, or leave it out")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in LOCAL_HOSTS

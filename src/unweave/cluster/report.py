"""A line per file, for people and programs that watch a run."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from unweave.cluster.worker import Result


def json_line(result: Result) -> str:
    """``result`` as one line of JSON: what became of the file, when, where, and how long it took."""
    return json.dumps(
        {
            "file": result.name,
            "status": "failed" if result.error else "done",
            "error": result.error,
            "stems": result.stems,
            "seconds": round(result.seconds, 3),
            "audio_seconds": round(result.audio_seconds, 3),
            "machine": result.machine,
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
    )

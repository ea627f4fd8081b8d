"""unweave takes a song apart into its stems.

For a song of five minutes::

    from unweave import Separator

    stems = Separator("spleeter:2stems").separate("song.mp3")
    stems["vocals"].shape  # (2, 13230000)

Names are imported when they are first used, so ``import unweave`` takes no time. It sets one environment variable,
``ORT_DISABLE_TELEMETRY=1``, unless it is already set. ONNX Runtime reads this variable when it is imported.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# ONNX Runtime reports what it is used for, since version 1.29 on Linux and macOS too. Once it has been imported it is
# too late to stop that, so this must come first in every program that uses any part of unweave. Child processes
# inherit it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from unweave.audio.decode import AudioReader as AudioReader
    from unweave.audio.encode import AudioWriter as AudioWriter
    from unweave.errors import AudioError as AudioError
    from unweave.errors import AudioReadError as AudioReadError
    from unweave.errors import AudioWriteError as AudioWriteError
    from unweave.errors import Cancelled as Cancelled
    from unweave.errors import CheckpointError as CheckpointError
    from unweave.errors import ConsentError as ConsentError
    from unweave.errors import DownloadError as DownloadError
    from unweave.errors import ModelError as ModelError
    from unweave.errors import OptionError as OptionError
    from unweave.errors import UnknownModelError as UnknownModelError
    from unweave.errors import UnweaveError as UnweaveError
    from unweave.separation.output import OutputOptions as OutputOptions
    from unweave.separation.progress import Progress as Progress
    from unweave.separation.separator import Separator as Separator
    from unweave.separation.stream import SeparationStream as SeparationStream
    from unweave.types import Stems as Stems

__version__ = "0.1.0"

_HOMES = {
    "AudioReader": "audio.decode",
    "AudioWriter": "audio.encode",
    "AudioError": "errors",
    "AudioReadError": "errors",
    "AudioWriteError": "errors",
    "Cancelled": "errors",
    "CheckpointError": "errors",
    "ConsentError": "errors",
    "DownloadError": "errors",
    "ModelError": "errors",
    "OptionError": "errors",
    "UnknownModelError": "errors",
    "UnweaveError": "errors",
    "OutputOptions": "separation.output",
    "Progress": "separation.progress",
    "Separator": "separation.separator",
    "SeparationStream": "separation.stream",
    "Stems": "types",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - the keys are strings


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unweave' has no attribute {name!r}")
    return getattr(importlib.import_module(f"unweave.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

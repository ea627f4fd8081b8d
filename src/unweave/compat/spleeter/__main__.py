"""``python -m unweave.compat.spleeter``: the original's command, where people wrote ``python -m spleeter``."""

from __future__ import annotations

import os
import runpy
import tempfile
from collections.abc import Iterable

from unweave.compat.spleeter import SpleeterError
from unweave.compat.spleeter.audio import Codec, STFTBackend

OUTPUT_FOLDER = os.path.join(tempfile.gettempdir(), "separated_audio")


def separate(
    deprecated_files: str | None = None,
    files: Iterable[str | os.PathLike[str]] = (),
    adapter: str = "spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter",
    bitrate: str = "128k",
    codec: Codec | str = Codec.WAV,
    duration: float | None = None,
    offset: float = 0.0,
    output_path: str | os.PathLike[str] = OUTPUT_FOLDER,
    stft_backend: object = STFTBackend.AUTO,
    filename_format: str = "{filename}/{instrument}.{codec}",
    params_filename: str = "spleeter:2stems",
    mwf: bool = False,
    verbose: bool = False,
) -> None:
    """The original's command as a function, by its names. Raises `SpleeterError` for the first file that fails.

    ``stft_backend`` and ``verbose`` have no effect.
    """
    if deprecated_files is not None:
        raise SpleeterError("expected input files as files, got deprecated_files")
    from unweave.compat.spleeter.audio.adapter import AudioAdapter
    from unweave.compat.spleeter.separator import Separator

    audio_adapter, separator = AudioAdapter.get(adapter), Separator(params_filename, MWF=mwf)
    for file in files:
        separator.separate_to_file(
            os.fspath(file), output_path, audio_adapter, offset, duration, codec, bitrate, filename_format
        )


def entrypoint() -> None:
    """The command itself, with the arguments of the program."""
    # By name: an entry point stands above the commands, its package below them.
    runpy.run_module("unweave.cli.spleeter", run_name="__main__")


if __name__ == "__main__":
    entrypoint()

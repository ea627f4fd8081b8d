"""``unweave-spleeter``: the original's command lines, for old scripts (``alias spleeter=unweave-spleeter``)."""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Optional

import typer

from unweave import __version__
from unweave.cli.application import Application
from unweave.cli.failures import EXIT_FAILED, fail, failures_shown
from unweave.cli.options import Verbose

OUTPUT_PATH = Path(tempfile.gettempdir(), "separated_audio")

# Options that several of the commands share.
OutputPath = Annotated[Path, typer.Option("-o", "--output_path", metavar="FOLDER", help="Folder to write to.")]
Params = Annotated[
    str,
    typer.Option("-p", "--params_filename", metavar="NAME", help="Model to use, or the path of a JSON configuration."),
]
Mwf = Annotated[bool, typer.Option("--mwf", "-m", help="Use a multichannel Wiener filter.")]
UnusedAdapter = Annotated[str, typer.Option("-a", "--adapter", metavar="NAME", help="Accepted, but has no effect.")]

app = Application(
    name="spleeter", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"Spleeter Version: unweave {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Spleeter's commands, run by unweave."""


@app.command()
def separate(
    files: Annotated[Optional[list[Path]], typer.Argument(metavar="FILE...", help="Audio files.")] = None,  # noqa: UP045
    inputs: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option("-i", "--inputs", metavar="FILE", help="Deprecated; just name the files."),
    ] = None,
    adapter: Annotated[
        str, typer.Option("-a", "--adapter", metavar="NAME", help="Class that loads and saves audio.")
    ] = "spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter",
    bitrate: Annotated[str, typer.Option("-b", "--bitrate", metavar="RATE", help="Bitrate of lossy formats.")] = "128k",
    codec: Annotated[str, typer.Option("-c", "--codec", metavar="FORMAT", help="File format of the stems.")] = "wav",
    duration: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            "-d",
            "--duration",
            metavar="SECONDS",
            help="Seconds to separate. By default, to the end (in the original: 600).",
        ),
    ] = None,
    offset: Annotated[
        float, typer.Option("-s", "--offset", metavar="SECONDS", help="Start this many seconds into each file.")
    ] = 0.0,
    output_path: OutputPath = OUTPUT_PATH,
    stft_backend: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("-B", "--stft-backend", metavar="NAME", help="Deprecated; has no effect."),
    ] = None,
    filename_format: Annotated[
        str,
        typer.Option("-f", "--filename_format", metavar="PATTERN", help="Path of each stem within the output folder."),
    ] = "{filename}/{instrument}.{codec}",
    params_filename: Params = "spleeter:2stems",
    mwf: Mwf = False,
    verbose: Verbose = False,
) -> None:
    """Separate audio files, as the original does."""
    with failures_shown(verbose):
        from unweave.compat.spleeter.audio.adapter import AudioAdapter
        from unweave.compat.spleeter.separator import Separator
        from unweave.errors import OptionError
        from unweave.separation.outcome import Task

        if inputs:
            print("unweave: warning: -i is deprecated; just name the files", file=sys.stderr)
        if stft_backend is not None:
            print("unweave: warning: -B is deprecated and has no effect", file=sys.stderr)
        sources = [*(inputs or []), *(files or [])]
        if not sources:
            raise OptionError("name at least one input file")
        audio_adapter = AudioAdapter.get(adapter)
        separator = Separator(params_filename, MWF=mwf)
        planner = separator.planner(sources, codec, bitrate, filename_format, offset, duration)
        n_failed = 0
        for source in sources:
            try:
                if planner.paths(Task(source, output_path)) is None:
                    continue  # the same file by another path
                separator.separate_to_file(
                    source, output_path, audio_adapter, offset, duration, codec, bitrate, filename_format
                )
            except Exception as error:  # one file, or an adapter of somebody else's, must not end the run
                _show_failure(source, error)
                n_failed += 1
        if n_failed and len(sources) > 1:
            print(f"unweave: {n_failed} of {len(sources)} files failed", file=sys.stderr)
    if n_failed:
        raise typer.Exit(EXIT_FAILED)


def _show_failure(source: Path, error: Exception) -> None:
    from unweave.errors import UnweaveError

    if isinstance(error, UnweaveError):
        fail(str(error))
        return
    logging.getLogger("unweave").debug("%s: traceback", source, exc_info=error)
    fail(f"{source}: {type(error).__name__}: {error}")


@app.command()
def evaluate(
    mus_dir: Annotated[Path, typer.Option("--mus_dir", metavar="FOLDER", help="Folder with MUSDB18.")],
    adapter: UnusedAdapter = "",
    output_path: OutputPath = OUTPUT_PATH,
    params_filename: Params = "spleeter:2stems",
    mwf: Mwf = False,
    verbose: Verbose = False,
) -> None:
    """Evaluate a model on MUSDB18, as the original does."""
    with failures_shown(verbose):
        from unweave.cli.evaluate import run_evaluation
        from unweave.compat.spleeter import model_name

        options = {"quality": "exact", "shifts": 1}
        n_failed = run_evaluation(mus_dir, model_name(params_filename), output_path, mwf=mwf, jobs=2, options=options)
    if n_failed:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def train(
    data: Annotated[
        Path, typer.Option("-d", "--data", metavar="FOLDER", help="Folder that the paths in the lists are relative to.")
    ],
    adapter: UnusedAdapter = "",
    params_filename: Annotated[
        Path, typer.Option("-p", "--params_filename", metavar="NAME", help="JSON configuration.")
    ] = Path("configuration.json"),
    verbose: Verbose = False,
) -> None:
    """Train a model, as the original does; the result is in the configuration's model_dir."""
    with failures_shown(verbose):
        from unweave.cli.train import run_training

        run_training(params_filename, data, output=None, minutes=None, restart=False)


def run() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    run()

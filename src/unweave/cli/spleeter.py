"""``unweave-spleeter``: the original's command lines, for old scripts."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import click

from unweave import __version__
from unweave.cli.commands import PATH, Group, argument, command, flag, number, option
from unweave.cli.console import shown_path
from unweave.cli.failures import EXIT_FAILED, fail, failures_shown
from unweave.cli.options import offset, verbose
from unweave.separation.templates import DEFAULT_TEMPLATE

# Options that several of the commands share.
_output_path = option(
    "-o",
    "--output_path",
    placeholder="FOLDER",
    type=PATH,
    default=Path(tempfile.gettempdir(), "separated_audio"),
    help="Folder to write to.",
)
_params_filename = option(
    "-p",
    "--params_filename",
    placeholder="NAME",
    default="spleeter:2stems",
    help="Model to use, or the path of a JSON configuration.",
)
_mwf = flag("-m", "--mwf", help="Use a multichannel Wiener filter.")
_unused_adapter = option(
    "-a", "--adapter", placeholder="NAME", default="", help="Accepted, but has no effect.", show_default=False
)


@click.group(
    name="spleeter",
    cls=Group,
    context_settings={"show_default": True},
    help="Spleeter's commands, run by unweave.",
)
@click.version_option(__version__, message="Spleeter Version: unweave %(version)s", help="Show the version.")
def app() -> None:
    """The group of commands."""


@command("separate")
@argument("files", "FILE...", "Audio files.", type=PATH, nargs=-1)
@option("-i", "--inputs", placeholder="FILE", type=PATH, multiple=True, help="Deprecated; just name the files.")
@option(
    "-a",
    "--adapter",
    placeholder="NAME",
    default="spleeter.audio.ffmpeg.FFMPEGProcessAudioAdapter",
    help="Class that loads and saves audio.",
)
@option("-b", "--bitrate", placeholder="RATE", default="128k", help="Bitrate of lossy formats.")
@option("--birate", "bitrate", placeholder="RATE", hidden=True, help="As versions before 2.1 spelt it.")
@option("-c", "--codec", placeholder="FORMAT", default="wav", help="File format of the stems.")
@option(
    "-d",
    "--duration",
    placeholder="SECONDS",
    type=number(float),
    help="Seconds to separate. By default, to the end (in the original: 600).",
)
@offset
@_output_path
@option("-B", "--stft-backend", placeholder="NAME", help="Deprecated; has no effect.")
@option(
    "-f",
    "--filename_format",
    placeholder="PATTERN",
    default=DEFAULT_TEMPLATE,
    help="Path of each stem within the output folder.",
)
@_params_filename
@_mwf
@verbose
def separate(
    files: tuple[Path, ...],
    inputs: tuple[Path, ...],
    adapter: str,
    bitrate: str,
    codec: str,
    duration: float | None,
    offset: float,
    output_path: Path,
    stft_backend: str | None,
    filename_format: str,
    params_filename: str,
    mwf: bool,
    verbose: bool,
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
        sources = [*inputs, *files]
        if not sources:
            raise OptionError("name at least one input file")
        audio_adapter = AudioAdapter.get(adapter)
        separator = Separator(params_filename, MWF=mwf)
        planner = separator.planner(sources, codec, bitrate, filename_format, offset, duration)
        separator.load()
        n_failed = 0
        for source in sources:
            try:
                paths = planner.paths(Task(source, output_path))
                if paths is None:
                    continue  # the same file by another path
                # Paths as text, as in the original: adapters of one's own may know nothing else.
                separator.separate_to_file(
                    str(source), str(output_path), audio_adapter, offset, duration, codec, bitrate, filename_format
                )
            except Exception as error:  # one file, or an adapter of somebody else's, must not end the run
                _show_failure(source, error)
                n_failed += 1
            else:
                _show_written(paths.values())
        if n_failed and len(sources) > 1:
            print(f"unweave: {n_failed} of {len(sources)} files failed", file=sys.stderr)
    if n_failed:
        sys.exit(EXIT_FAILED)


def _show_failure(source: Path, error: Exception) -> None:
    from unweave.errors import UnweaveError

    if isinstance(error, UnweaveError):
        fail(str(error))
        return
    logging.getLogger("unweave").debug("%s: traceback", source, exc_info=error)
    fail(f"{source}: {type(error).__name__}: {error}")


def _show_written(paths: Iterable[Path]) -> None:
    """As the original shows it, down to the spelling: by these lines other programs count what is done."""
    for path in paths:
        print(f"INFO:spleeter:File {shown_path(path)} written succesfully", flush=True)


@command("evaluate")
@option("--mus_dir", placeholder="FOLDER", type=PATH, required=True, help="Folder with MUSDB18.")
@_unused_adapter
@_output_path
@_params_filename
@_mwf
@verbose
def evaluate(mus_dir: Path, adapter: str, output_path: Path, params_filename: str, mwf: bool, verbose: bool) -> None:
    """Evaluate a model on MUSDB18, as the original does: on its folder ``test``, where there is one."""
    with failures_shown(verbose):
        from unweave.cli.evaluate import run_evaluation
        from unweave.compat.spleeter import model_name

        test = mus_dir / "test"  # never the songs that models were trained on
        tracks, scores = (test if test.is_dir() else mus_dir), output_path / "metrics" / "test"
        options = {"quality": "exact", "shifts": 1}
        n_failed = run_evaluation(tracks, model_name(params_filename), scores, mwf=mwf, jobs=2, options=options)
    if n_failed:
        sys.exit(EXIT_FAILED)


@command("train")
@option(
    "-d",
    "--data",
    placeholder="FOLDER",
    type=PATH,
    required=True,
    help="Folder that the paths in the lists are relative to.",
)
@_unused_adapter
@option(
    "-p",
    "--params_filename",
    placeholder="NAME",
    type=PATH,
    default=Path("configuration.json"),
    help="JSON configuration.",
)
@verbose
def train(data: Path, adapter: str, params_filename: Path, verbose: bool) -> None:
    """Train a model, as the original does; the result is in the configuration's model_dir."""
    with failures_shown(verbose):
        from unweave.cli.train import run_training

        run_training(params_filename, data, output=None, minutes=None, restart=False)


for each in (separate, evaluate, train):
    app.add_command(each)


def run() -> None:
    """Entry point of the console script."""
    with failures_shown():  # what goes wrong before a command runs, such as help that cannot be printed
        app()


if __name__ == "__main__":
    run()

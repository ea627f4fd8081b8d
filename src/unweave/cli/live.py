"""``unweave live``: what is playing, without its vocals, or without anything else."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unweave.cli import options as shared
from unweave.cli.commands import command, file_names, number, option
from unweave.cli.failures import failures_shown, interrupted, interrupts_deferred
from unweave.cli.options import names_in

if TYPE_CHECKING:
    from unweave.separation.live import LiveStream
    from unweave.types import Waveform

BLOCK_SAMPLES = 512
SECONDS_BETWEEN_CHECKS = 0.1


@command("live", short_help="Separate music while it plays, with a short, constant delay.")
@option(
    "-i",
    "--input",
    "source",
    placeholder="NAME",
    default="default",
    shell_complete=file_names,
    help="A sound card (name or number), a file, or - for WAV from stdin.",
)
@option(
    "-o",
    "--output",
    "target",
    placeholder="NAME",
    default="default",
    shell_complete=file_names,
    help="A sound card (name or number), a .wav file, or - for WAV to stdout.",
)
@shared.model
@option("--stems", placeholder="STEMS", default="accompaniment", help="Stems to play, separated by commas.")
@option(
    "--latency",
    placeholder="MS",
    type=number(float),
    default=300.0,
    help="Delay in milliseconds; a longer one sounds better.",
)
@option(
    "--step",
    placeholder="NUMBER",
    type=number(int, 1, 32),
    default=2,
    help="Frames of 23 ms to compute at once, from 1 to 32. More need less CPU time.",
)
@shared.precision
@shared.verbose
def live(
    source: str, target: str, model: str, stems: str, latency: float, step: int, precision: str, verbose: bool
) -> None:
    """Separate music while it plays, with a short, constant delay."""
    with failures_shown(verbose):
        from unweave.errors import OptionError
        from unweave.separation.separator import Separator

        is_file = _are_files(source, target)
        separator = Separator(model, precision=precision)
        chosen = names_in(stems) or ()
        stream = separator.live(latency_seconds=latency / 1000, step_frames=step, stems=chosen)
        if stream.choice.overlaps:
            raise OptionError(f"the stems to play must not share any sound, as {', '.join(chosen)} do")
        rate = separator.spec.sample_rate
        print(f"latency {1000 * stream.latency_samples / rate:.0f} ms, {', '.join(chosen)}", file=sys.stderr)
        with interrupts_deferred():
            if is_file:
                _through_files(stream, source, target, rate)
            else:
                _through_cards(stream, source, target, rate)


def _are_files(source: str, target: str) -> bool:
    """Whether music goes from a file or pipe to another, and not from a sound card to another.

    Raises `OptionError` for one of each, and where the output would overwrite the input.
    """
    from unweave.errors import OptionError
    from unweave.separation.remix import check_target

    reads_file = source == "-" or os.path.exists(source)
    writes_file = target == "-" or target.lower().endswith(".wav")
    if reads_file != writes_file:
        said = "" if reads_file or "." not in source else f"; there is no file {source}"
        raise OptionError(f"input and output must both be sound cards, or both files or pipes{said}")
    if writes_file and target != "-":
        check_target(Path(target), Path("/dev/stdin" if source == "-" else source))
    return reads_file


def _through_files(stream: LiveStream, source: str, target: str, rate: int) -> None:
    """As from a sound card, block by block; says how often a card would have run dry."""
    import numpy as np

    seconds, n_late, n_blocks = [], 0, 0
    with _wav_writer(target, rate) as write:
        n_left, n_in, n_out = stream.delay_samples, 0, 0
        for block in _blocks(source, rate):
            started = time.perf_counter()
            mixed = _mixed(stream, block)
            seconds.append(time.perf_counter() - started)
            n_blocks += 1
            n_late += seconds[-1] > stream.step_seconds
            n_cut = min(n_left, mixed.shape[1])  # a file may begin at once
            n_left -= n_cut
            n_in += block.shape[1]
            n_out += mixed.shape[1] - n_cut
            write(mixed[:, n_cut:])
            if interrupted.is_set():
                return
        rest = _mixed(stream, np.zeros((2, 2 * stream.latency_samples), np.float32))[:, n_left:]
        write(rest[:, : n_in - n_out])
    worst = 1000 * max(seconds, default=0.0)
    allowed = 1000 * stream.step_seconds
    print(f"{n_blocks} blocks, {n_late} of them too late; the longest took {worst:.1f} ms of {allowed:.0f} ms",
          file=sys.stderr)  # fmt: skip


def _through_cards(stream: LiveStream, source: str, target: str, rate: int) -> None:
    """From one sound card to another until Ctrl-C; reports drop-outs."""
    import importlib.util

    import numpy as np

    from unweave.errors import AudioReadError, OptionError
    from unweave.separation.playout import LiveWorker, Playout

    if importlib.util.find_spec("sounddevice") is None:
        raise OptionError('live needs: pip install "unweave[live]"')
    try:
        import sounddevice
    except OSError as error:
        raise OptionError(f"cannot use the sound cards of this machine: {error}") from error
    playout = Playout(2, stream.latency_samples - stream.delay_samples)
    worker = LiveWorker(lambda block: _mixed(stream, block), playout, rate)

    def callback(given: Any, wanted: Any, frames: int, when: object, status: object) -> None:
        worker.hear(np.array(given.T, np.float32))
        wanted[:] = playout.take(frames).T

    devices = tuple(int(name) if name.isdecimal() else None if name == "default" else name for name in (source, target))
    try:
        with sounddevice.Stream(
            samplerate=rate, blocksize=BLOCK_SAMPLES, channels=2, dtype="float32", device=devices, callback=callback
        ) as card:
            print("playing; press Ctrl-C to stop", file=sys.stderr, flush=True)
            while not interrupted.wait(SECONDS_BETWEEN_CHECKS):
                worker.check()
                if not card.active:
                    raise AudioReadError("the sound card stopped")
    except (sounddevice.PortAudioError, ValueError) as error:  # ValueError: no device is called so
        raise OptionError(f"cannot open the sound card: {error}") from error
    finally:
        worker.close()
    print(f"{playout.n_dropouts} drop-outs", file=sys.stderr)


def _mixed(stream: LiveStream, block: Waveform) -> Waveform:
    """The chosen stems of ``block``, added up."""
    import numpy as np

    mixed: Waveform = np.sum(list(stream.push(block).values()), axis=0, dtype=np.float32)
    return mixed


def _blocks(source: str, rate: int) -> Iterator[Waveform]:
    """A file or stdin at ``rate`` in blocks of a sound card's size."""
    from unweave.audio.channels import to_stereo
    from unweave.audio.decode import AudioReader
    from unweave.audio.resample import Resampler

    with AudioReader(sys.stdin.buffer if source == "-" else source) as reader:
        resampler = Resampler(reader.sample_rate, rate, 2)
        for waveform in reader:
            resampled = resampler.push(to_stereo(waveform))
            for start in range(0, resampled.shape[1], BLOCK_SAMPLES):
                yield resampled[:, start : start + BLOCK_SAMPLES]
        yield resampler.flush(2)


def _wav_writer(target: str, rate: int) -> Any:
    """A context that gives a function that writes (2, samples); a pipe gets a header without a length."""
    from unweave.audio.encode import wav_file, wav_pipe

    return wav_pipe(sys.stdout.buffer, rate) if target == "-" else wav_file(Path(target), rate)

"""An ensemble of finished files: the same stem by several programs or models, as one file."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from unweave.audio.arguments import is_number
from unweave.audio.channels import to_channels
from unweave.audio.decode import AudioReader
from unweave.audio.resample import Resampler
from unweave.dsp.combining import combiner
from unweave.dsp.segments import SampleQueue
from unweave.errors import OptionError
from unweave.separation.checks import checked_path
from unweave.separation.output import OutputOptions
from unweave.separation.progress import Meter, OnProgress
from unweave.separation.remix import check_one_recording, check_target
from unweave.separation.rules import MEAN, Rules
from unweave.separation.stem_set import StemSet
from unweave.types import Stems, Waveform

STEM = "ensemble"  # one file is written as a set of one stem


def combine_files(
    sources: Sequence[str | os.PathLike[str]],
    target: str | os.PathLike[str],
    options: OutputOptions,
    *,
    rule: str = MEAN,
    weights: Sequence[float] | None = None,
    on_progress: OnProgress | None = None,
) -> None:
    """Write what ``rule`` makes of ``sources`` to ``target``, which appears whole or not at all.

    The files must be equally long, and have one sample rate and one number of channels. ``rule`` is one of those of
    `unweave.dsp.combining`, ``weights`` one number per file, for means. The memory needed does not depend on the
    length. Raises `OptionError`, `AudioReadError` and `AudioWriteError`.
    """
    paths = [checked_path(source, "an audio file") for source in sources]
    target = checked_path(target, "a file to write")
    check_one_recording(target, options.format)
    chosen = _checked_weights(weights, paths, Rules(rule))
    for path in paths:
        check_target(target, path)
    with ExitStack() as stack:
        readers = [stack.enter_context(AudioReader(path)) for path in paths]
        _check_alike(paths, readers)
        first = readers[0]
        n_channels, n_written = first.n_channels, options.n_channels or first.n_channels
        rate = options.rate_for(first.sample_rate)
        files = stack.enter_context(
            StemSet({STEM: target}, options, sample_rate=rate, n_channels=n_written, tags=first.tags)
        )
        resampler = Resampler(first.sample_rate, rate, n_written)
        one = combiner(rule, chosen, n_channels, first.sample_rate)
        meter = Meter(on_progress, first.expected_seconds, 1)
        for estimates in _side_by_side(paths, readers, n_channels):
            files.write(Stems({STEM: resampler.push(to_channels(one.push(estimates), n_written))}, rate))
            meter.advance(estimates[0].shape[1] / first.sample_rate)
        files.write(Stems({STEM: resampler.push(to_channels(one.flush(), n_written))}, rate))
        files.write(Stems({STEM: resampler.flush(n_written)}, rate))
        files.commit()


def _side_by_side(paths: Sequence[Path], readers: Sequence[AudioReader], n_channels: int) -> Iterator[list[Waveform]]:
    """Blocks of the same samples of every file. Raises `OptionError` where one ends before another."""
    blocks = [iter(reader) for reader in readers]
    queues = [SampleQueue() for _ in readers]
    n_waiting, has_ended = [0] * len(readers), [False] * len(readers)
    while not all(has_ended):
        for index, queue in enumerate(queues):
            if n_waiting[index] or has_ended[index]:
                continue
            block = next(blocks[index], None)
            if block is None:
                has_ended[index] = True
                continue
            queue.push(block)
            n_waiting[index] += block.shape[1]
        n_ready = min(n_waiting)
        if n_ready:
            n_waiting = [n - n_ready for n in n_waiting]
            yield [queue.take(n_ready, n_channels) for queue in queues]
        elif any(has_ended) and any(n_waiting):
            longer = next(index for index, n in enumerate(n_waiting) if n)
            raise _unlike(paths[has_ended.index(True)], paths[longer], "is shorter than", "length")


def _check_alike(paths: Sequence[Path], readers: Sequence[AudioReader]) -> None:
    first, path = readers[0], paths[0]
    for other, reader in zip(paths[1:], readers[1:], strict=True):
        if reader.sample_rate != first.sample_rate:
            rates = f"is at {reader.sample_rate} Hz, at {first.sample_rate} Hz is"
            raise _unlike(other, path, rates, "sample rate")
        if reader.n_channels != first.n_channels:
            raise _unlike(
                other, path, f"has {reader.n_channels} channels, {first.n_channels} has", "number of channels"
            )


def _unlike(one: Path, other: Path, how: str, what: str) -> OptionError:
    return OptionError(f"{one} {how} {other}: the files of an ensemble must have one {what}")


def _checked_weights(given: Sequence[float] | None, paths: Sequence[Path], rules: Rules) -> list[float]:
    if len(paths) < 2:
        raise OptionError(f"an ensemble needs several files, got {len(paths)}")
    rules.check_number(len(paths))
    if given is None:
        return [1.0] * len(paths)
    if not rules.has_mean:
        raise OptionError(f"weights only count for avg_wave and avg_fft, not for {rules.others}")
    weights = [float(weight) if is_number(weight) else math.nan for weight in given]
    if len(weights) != len(paths) or not np.all(np.array(weights) > 0):
        raise OptionError(f"expected {len(paths)} weights, all above zero, got {', '.join(map(str, given))}")
    return weights

"""Pipelines without networks: each stem is the mixture times a number, and comes late."""

import numpy as np

from unweave.audio.resample import Resampler
from unweave.dsp.segments import SampleQueue
from unweave.types import Stems


class Scaled:
    """A pipeline whose stems are the mixture times a gain each; samples leave in blocks of ``delay``."""

    def __init__(self, gains, rest=None, delay=1000):
        self._gains, self._delay = gains, delay
        self.stems, self.rest = tuple(gains), rest
        self.n_learning_passes = 0

    def sums_to_mixture(self, form):
        return False

    def learn(self, passes, sample_rate, advance):
        return self

    def stream(self, form, stems):
        return ScaledStream(self._gains, stems, self._delay, form)


class Counting(Scaled):
    """One that reads the mixture once before, and then multiplies by the number of samples that it counted."""

    def __init__(self, gains, delay=1000):
        super().__init__(gains, delay=delay)
        self.n_learning_passes = 1

    def learn(self, passes, sample_rate, advance):
        total = sum(float(np.abs(block).sum()) for block in passes())
        return Scaled({stem: gain * total for stem, gain in self._gains.items()}, delay=self._delay)


class ScaledStream:
    def __init__(self, gains, stems, delay, form):
        self._gains = {stem: np.float32(gains[stem]) for stem in stems}
        self._delay, self._form = delay, form
        self._queue, self._n_waiting, self.n_most = SampleQueue(), 0, 0
        self._resampler = Resampler(form.sample_rate, form.output_rate, form.output_channels)

    def push(self, block):
        if len(block) > self._form.output_channels:
            block = block.mean(axis=0, keepdims=True)
        self._keep(self._resampler.push(np.broadcast_to(block, (self._form.output_channels, block.shape[1]))))
        return self._given(self._n_waiting // self._delay * self._delay)

    def drain(self):
        self._keep(self._resampler.flush(self._form.output_channels))
        yield self._given(self._n_waiting)

    def close(self):
        pass

    def _keep(self, samples):
        self._queue.push(samples)
        self._n_waiting += samples.shape[1]

    def _given(self, n_samples):
        self._n_waiting -= n_samples
        taken = self._queue.take(n_samples, self._form.output_channels)
        return Stems({stem: gain * taken for stem, gain in self._gains.items()}, self._form.output_rate)


def run(pipeline, mixture, stems=None, form=None, sizes=(3000, 1, 700)):
    """All stems of ``mixture`` through ``pipeline``, pushed in blocks of ``sizes``."""
    from unweave.separation.stream import StreamFormat, concatenated

    form = form or StreamFormat(44100, len(mixture), 44100, len(mixture))
    stream, parts, start = pipeline.stream(form, stems or pipeline.stems), [], 0
    while start < mixture.shape[1]:
        stop = start + sizes[len(parts) % len(sizes)]
        parts.append(stream.push(mixture[:, start:stop]))
        start = stop
    return concatenated([*parts, *stream.drain()])

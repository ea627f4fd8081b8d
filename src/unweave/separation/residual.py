"""What remains of the mixture when all stems are taken away, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unweave.audio.channels import to_mono, to_stereo
from unweave.audio.resample import Resampler
from unweave.dsp.segments import SampleQueue
from unweave.separation.choice import Choice
from unweave.types import Stems, Waveform

RESIDUAL_STEM = "residual"
# Rounding makes the sum of all stems miss the mixture by a bit here and there; what is missed is added again.
N_CORRECTIONS = 2


@dataclass(frozen=True)
class Completion:
    """Which of the stems that a model computed are returned, and what becomes of the residual.

    The residual is the mixture minus the sum of the stems. It is the stem ``rest``, for which all others must be
    computed, or becomes a separate stem, or is dropped. A complement is the mixture minus one stem.
    """

    chosen: Choice  # what comes out, in this order
    rest: str | None = None  # the stem that is the residual of all others
    as_stem: bool = False  # the residual is a stem of its own
    with_mixture: bool = False  # the stems come with the mixture of the same samples

    @property
    def needs_mixture(self) -> bool:
        """Whether the mixture must be kept until its stems arrive."""
        return self.rest is not None or self.as_stem or self.with_mixture or bool(self.chosen.complements)


class SignalKeeper:
    """Keeps a signal, brought to the output's rate and channels, until it is taken."""

    def __init__(self, n_channels: int, sample_rate: int, output_rate: int) -> None:
        self._n_channels = n_channels
        self._samples = SampleQueue()
        self._resampler = Resampler(sample_rate, output_rate, n_channels)

    def push(self, block: Waveform) -> None:
        """The next samples, with the input's channels; the block must not change afterwards."""
        samples = block if len(block) == self._n_channels else to_stereo(block)
        if self._n_channels < len(samples):
            samples = to_mono(samples)
        self._samples.push(self._resampler.push(samples))

    def flush(self) -> None:
        """The end of the signal."""
        self._samples.push(self._resampler.flush(self._n_channels))

    def take(self, n_samples: int) -> Waveform:
        """The next samples; where fewer are left, silence follows."""
        return self._samples.take(n_samples, self._n_channels)


class MixtureKeeper:
    """Keeps the mixture, at the output's rate and channels, until the stems of the same samples arrive."""

    def __init__(self, completion: Completion, n_channels: int, sample_rate: int, output_rate: int) -> None:
        self._completion = completion
        self._mixture = SignalKeeper(n_channels, sample_rate, output_rate)

    def push(self, block: Waveform) -> None:
        """The next samples of the mixture, with the input's channels; the block must not change afterwards."""
        if self._completion.needs_mixture:
            self._mixture.push(block)

    def flush(self) -> None:
        """The end of the mixture."""
        if self._completion.needs_mixture:
            self._mixture.flush()

    def complete(self, stems: Stems) -> Stems:
        """Add the residual where it belongs, for the next samples of the chosen stems."""
        how = self._completion
        waveforms = dict(stems)
        mixture = self._mixture.take(stems.n_samples) if how.needs_mixture else None
        if mixture is not None and how.rest is not None:
            waveforms[how.rest] = _rest(mixture, list(waveforms.values()))
        chosen = {}
        for name in how.chosen.names:
            without = how.chosen.complements.get(name)
            if without is None or mixture is None:
                chosen[name] = waveforms[how.chosen.own.get(name, name)]
            else:
                chosen[name] = mixture - waveforms[without]
        if mixture is not None and how.as_stem:
            chosen[RESIDUAL_STEM] = mixture - self._covered(waveforms, mixture)
        return Stems(chosen, stems.sample_rate, mixture if how.with_mixture else None)

    def _covered(self, waveforms: Mapping[str, Waveform], mixture: Waveform) -> Waveform:
        """What the chosen stems are together, each sound once, however many of them it is in."""
        chosen = self._completion.chosen
        absent = set(chosen.complements.values())
        single = {chosen.own.get(name, name) for name in chosen.names if name not in chosen.complements}
        if not absent:
            covered: Waveform = np.sum([waveforms[stem] for stem in single], axis=0)
            return covered
        if len(absent) > 1 or absent <= single:
            return mixture
        return mixture - waveforms[absent.pop()]


def _rest(mixture: Waveform, others: Sequence[Waveform]) -> Waveform:
    """What is left of the mixture (channels, samples), such that the others and it add up to the mixture."""
    sum_of_others = others[0] if len(others) == 1 else sum(others[1:], start=others[0])
    rest: Waveform = mixture - sum_of_others
    missed = np.empty_like(rest)
    for _ in range(N_CORRECTIONS):
        np.add(sum_of_others, rest, out=missed)
        np.subtract(mixture, missed, out=missed)
        rest += missed
    return rest

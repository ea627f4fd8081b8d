"""Separation while the music plays: each moment is separated by what came before it and a little of what comes after.

The networks see a sliding window of frames. Of each pass, only the masks of the newest frames that have enough
look-ahead after them are used. A sample is finished when the last frame that covers it has been masked, so the latency
is the window of the transform, plus the look-ahead, plus the frames that are gathered for one pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unweave.audio.arguments import checked_number, is_number
from unweave.dsp.masks import extend_masks, ratio_masks
from unweave.dsp.stft import add_frames, analyse
from unweave.errors import OptionError
from unweave.families.base import MaskingModel
from unweave.separation.checks import checked_block
from unweave.separation.choice import Choice, choose
from unweave.types import Stems, Waveform

CONTEXT_FRAMES = 64  # 1.5 s: the smallest input of networks that take any length


class LiveStream:
    """Separates one stereo mixture at the model's own sample rate: `push` blocks, get stems `delay_samples` later.

    Blocks may have any length. ``latency_seconds`` must be at least the length of one transform (93 ms for the U-Nets);
    anything above that is used as look-ahead. With a larger ``step_frames``, more frames are gathered for each pass,
    which takes less computing but adds latency. ``stems`` are chosen as for `Separator.separate`. Raises `OptionError`
    for a latency that is not possible, and for stems that there are not.
    """

    def __init__(
        self,
        masking: MaskingModel,
        *,
        latency_seconds: float = 0.2,
        step_frames: int = 1,
        stems: Sequence[str] | None = None,
    ) -> None:
        spec = masking.spec
        self._spec, self._network = spec, masking.network
        self._context = self._network.n_frames or CONTEXT_FRAMES
        self._step = step_frames = checked_number(step_frames, "step_frames", 1, self._context)
        if not is_number(latency_seconds):
            raise OptionError(f"expected a latency in seconds, got {latency_seconds!r}")
        shortest = (spec.n_fft + (step_frames - 1) * spec.hop_length) / spec.sample_rate
        self._lookahead = int((latency_seconds - shortest) * spec.sample_rate / spec.hop_length + 1e-6)
        if latency_seconds < shortest - 1e-6:
            raise OptionError(
                f"expected a latency of at least {1000 * shortest:.0f} ms for {spec.name}, got "
                f"{1000 * latency_seconds:g} ms"
            )
        self._lookahead = min(self._lookahead, self._context - step_frames)  # no more fits into the window
        self.choice = choose(stems, spec.stems, spec.name)
        self.stems = self.choice.names
        self._rows = [_rows_of(name, self.choice, spec.stems) for name in self.stems]
        n_bins = spec.n_fft // 2 + 1
        self._spectrum = np.zeros((2, self._context, n_bins), np.complex64)
        self._input = np.zeros((2, spec.n_fft - spec.hop_length), np.float32)  # silence before the first sample
        self._output = np.zeros((len(self.stems), 2, self._synthesis_samples), np.float32)

    @property
    def latency_samples(self) -> int:
        """The longest time that a sample takes from the input to the output, not counting the computing."""
        spec = self._spec
        return spec.n_fft + (self._lookahead + self._step - 1) * spec.hop_length

    @property
    def delay_samples(self) -> int:
        """How far the output lags behind: its sample n is sample n − `delay_samples` of the input."""
        return self.latency_samples - self._step * self._spec.hop_length

    @property
    def step_seconds(self) -> float:
        """How long a pass may take before the player runs out of samples."""
        return self._step * self._spec.hop_length / self._spec.sample_rate

    @property
    def _synthesis_samples(self) -> int:
        return self._spec.n_fft + (self._step - 1) * self._spec.hop_length

    def push(self, block: Waveform) -> Stems:
        """Take samples (2, n) and return the stems that are ready, `delay_samples` late (silent at the start).

        The block is copied. NaN and infinite samples are replaced by silence. Raises `OptionError` for other shapes or
        types.
        """
        spec = self._spec
        self._input = np.concatenate([self._input, checked_block(block, 2)], axis=1)
        parts = []
        while self._input.shape[1] >= self._synthesis_samples:
            parts.append(self._pass(self._input[:, : self._synthesis_samples]))
            self._input = self._input[:, self._step * spec.hop_length :]
        silence = np.zeros((len(self.stems), 2, 0), np.float32)
        ready = np.concatenate([silence, *parts], axis=2)
        return Stems(dict(zip(self.stems, ready, strict=True)), spec.sample_rate)

    def _pass(self, samples: Waveform) -> Waveform:
        """The newest frames in, the oldest finished samples out: (stems, channels, step · hop)."""
        spec = self._spec
        newest = analyse(samples, spec.n_fft, spec.hop_length)
        self._spectrum = np.concatenate([self._spectrum[:, self._step :], newest], axis=1)
        estimates = self._network.estimate(np.abs(self._spectrum[..., : spec.n_bins]))
        stop = self._context - self._lookahead
        part = slice(stop - self._step, stop)
        masks = ratio_masks(estimates[:, :, part], spec.mask_exponent)
        masks = np.stack([masks[rows].sum(axis=0) for rows in self._rows])
        masks = extend_masks(masks, self._spectrum.shape[-1], spec.mask_extension)
        add_frames(self._output, 0, self._spectrum[:, part] * masks, spec.n_fft, spec.hop_length)
        n_ready = self._step * spec.hop_length
        ready = self._output[..., :n_ready].copy()
        self._output = np.concatenate([self._output[..., n_ready:], np.zeros_like(ready)], axis=-1)
        return ready


def _rows_of(name: str, choice: Choice, stems: Sequence[str]) -> list[int]:
    """Which of the model's ``stems`` add up to the chosen ``name``: masks sum to one, so all but one are the rest."""
    absent = choice.complements.get(name)
    if absent is not None:
        return [row for row, stem in enumerate(stems) if stem != absent]
    return [stems.index(choice.own.get(name, name))]

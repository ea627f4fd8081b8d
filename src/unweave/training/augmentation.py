"""Changes to stems before they are mixed: on the device, a batch at a time, the same for the same seed and step.

All take (segments, stems, channels, samples) and return the same shape. Random numbers come from a generator on the
CPU, so that they do not depend on the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from unweave.training.plan import AugmentationPlan

BAND_EDGES_HZ = (4000.0, 16000.0)  # where the band may end: narrow-band telephone to an MP3 of 128 kbit/s
CODEC_FFT = 2048
STRETCH_FFT = 2048


class Augmentation:
    """Applies a plan's changes to ``stems``."""

    def __init__(
        self, plan: AugmentationPlan, stems: Sequence[str], sample_rate: int, seed: int, process: int = 0
    ) -> None:
        self._plan = plan
        self._stems = tuple(stems)
        self._sample_rate = sample_rate
        self._seed = seed * 1_000_003 + process * 7_919

    def __call__(self, stems: Tensor, step: int) -> Tensor:
        """The stems of step ``step``, changed; their sum is the mixture to train with."""
        plan = self._plan
        random = torch.Generator().manual_seed((self._seed + step * 1_000_000_007) % 2**63)
        rate = self._sample_rate
        octaves = plan.semitones / 12
        changes: list[tuple[float | Tensor, Callable[[Tensor], Tensor]]] = [
            (plan.speed, lambda x: _resampled(x, _factors(len(x), octaves, random))),
            (plan.tempo, lambda x: _stretched(x, _factors(len(x), octaves, random))),
            (plan.pitch, lambda x: _pitched(x, _factors(len(x), octaves, random))),
            (plan.equaliser, lambda x: _equalised(x, random)),
            (plan.compression, lambda x: _compressed(x, random)),
            (self._share(plan.saturation).repeat(len(stems)), lambda x: _saturated(x, random)),
        ]
        flat = stems.flatten(0, 1)
        for share, change in changes:
            flat = _to_some(flat, share, change, random)
        stems = flat.view_as(stems)
        stems = self._placed(stems, random)
        # What happens to a finished mixture happens to all its stems alike.
        stems = _to_some(stems, plan.bandwidth, lambda x: _band_limited(x, rate, random), random)
        return _to_some(stems, plan.codec, lambda x: _coded(x, random), random)

    def taken(self, n_segments: int, step: int) -> Tensor:
        """Which stems another model has taken away before: (segments, stems), True where it has."""
        random = torch.Generator().manual_seed((self._seed + step * 1_000_000_007 + 1) % 2**63)
        return _chosen((n_segments, len(self._stems)), self._share(self._plan.taken), random)

    def _share(self, shares: dict[str, float]) -> Tensor:
        """(stems,): the share of each stem."""
        return torch.tensor([shares.get(stem, 0.0) for stem in self._stems])

    def _placed(self, stems: Tensor, random: torch.Generator) -> Tensor:
        """Gain, polarity, channel swap and pan."""
        plan, shape = self._plan, (*stems.shape[:2], 1, 1)
        low, high = plan.gain_db
        gain = 10 ** ((low + (high - low) * torch.rand(shape, generator=random)) / 20)
        gain = gain * torch.where(_chosen(shape, plan.polarity, random), -1.0, 1.0)
        # Constant-power panning; the middle is left as it is.
        angle = math.pi / 4 * (1 + 0.6 * (2 * torch.rand(shape, generator=random) - 1))
        pan = torch.cat([angle.cos(), angle.sin()], dim=2) * math.sqrt(2)
        gain = gain * torch.where(_chosen(shape, plan.pan, random), pan, torch.ones_like(pan))
        swap = _chosen(shape, plan.channel_swap, random).to(stems.device)
        return torch.where(swap, stems.flip(2), stems) * gain.to(stems.device)


def _chosen(shape: tuple[int, ...], share: float | Tensor, random: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=random) < share


def _to_some(x: Tensor, share: float | Tensor, change: Callable[[Tensor], Tensor], random: torch.Generator) -> Tensor:
    """``change`` applied to a random share of the first axis."""
    indices = _chosen((len(x),), share, random).nonzero()[:, 0].to(x.device)
    if not len(indices):
        return x
    return x.index_copy(0, indices, change(x[indices]))


def _factors(n: int, octaves: float, random: torch.Generator) -> list[float]:
    exponents = (2 * torch.rand(n, generator=random) - 1) * octaves
    return [float(factor) for factor in 2.0**exponents]


def _resampled(x: Tensor, factors: list[float]) -> Tensor:
    """Played at ``factors`` times the speed: pitch and tempo change together. What is missing is repeated."""
    n = x.shape[-1]
    rows = []
    for row, factor in zip(x, factors, strict=True):
        played = torch.nn.functional.interpolate(row[None], size=max(2, round(n / factor)), mode="linear")[0]
        rows.append(_of_length(played, n))
    return torch.stack(rows)


def _stretched(x: Tensor, factors: list[float]) -> Tensor:
    """``factors`` times the tempo at the same pitch, by a phase vocoder.

    J. Laroche, M. Dolson, "Improved phase vocoder time-scale modification of audio", 1999, without phase locking.
    """
    n, hop = x.shape[-1], STRETCH_FFT // 4
    window = torch.hann_window(STRETCH_FFT, device=x.device)
    advance = 2 * math.pi * hop * torch.arange(STRETCH_FFT // 2 + 1, device=x.device) / STRETCH_FFT
    rows = []
    for row, factor in zip(x, factors, strict=True):
        spectrum = torch.stft(row, STRETCH_FFT, hop, window=window, return_complex=True)
        times = torch.arange(0, spectrum.shape[-1] - 1, factor, device=x.device)
        before = times.long()
        share = times - before
        magnitude = (1 - share) * spectrum[..., before].abs() + share * spectrum[..., before + 1].abs()
        step = spectrum[..., before + 1].angle() - spectrum[..., before].angle() - advance[:, None]
        step = step - 2 * math.pi * torch.round(step / (2 * math.pi)) + advance[:, None]
        phase = torch.cumsum(torch.cat([spectrum[..., :1].angle(), step[..., :-1]], dim=-1), dim=-1)
        played = torch.istft(torch.polar(magnitude, phase), STRETCH_FFT, hop, window=window)
        rows.append(_of_length(played, n))
    return torch.stack(rows)


def _pitched(x: Tensor, factors: list[float]) -> Tensor:
    """``factors`` times the pitch at the same tempo: stretched, then resampled."""
    return _resampled(_stretched(x, [1 / factor for factor in factors]), factors)


def _of_length(played: Tensor, n: int) -> Tensor:
    while played.shape[-1] < n:
        played = torch.cat([played, played.flip(-1)], dim=-1)
    return played[..., :n]


def _fast_length(n: int) -> int:
    """A length of at least ``n`` with small factors only, for the Fourier transform."""
    return -(-n // 4096) * 4096


def _filtered(x: Tensor, response: Tensor) -> Tensor:
    """Zero-phase filtering by gains over frequency: ``response`` (…, `_fast_length` // 2 + 1), broadcast."""
    n = _fast_length(x.shape[-1])
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(x, n=n) * response, n=n)[..., : x.shape[-1]]
    return filtered


def _equalised(x: Tensor, random: torch.Generator) -> Tensor:
    """A smooth random curve of ±6 dB over the octaves."""
    n_bins, n_points = _fast_length(x.shape[-1]) // 2 + 1, 9
    gains_db = (2 * torch.rand((len(x), 1, n_points), generator=random) - 1) * 6
    place = torch.linspace(0, 1, n_bins).clamp_min(2.0**-n_points).log2() / n_points + 1  # octaves, 0 to 1
    position = place * (n_points - 1)
    below = position.long().clamp_max(n_points - 2)
    share = position - below
    curve = gains_db[..., below] * (1 - share) + gains_db[..., below + 1] * share
    return _filtered(x, (10 ** (curve / 20)).to(x.device))


def _compressed(x: Tensor, random: torch.Generator) -> Tensor:
    """Level differences divided by 2 to 4 above a threshold, with a look-ahead of 25 ms, and made up for."""
    shape = (len(x), 1, 1)
    ratio = (2 + 2 * torch.rand(shape, generator=random)).to(x.device)
    threshold_db = (-30 + 15 * torch.rand(shape, generator=random)).to(x.device)
    width = 2205
    padded = torch.nn.functional.pad(x.square().mean(1, keepdim=True), (width // 2 + 1, width // 2))
    sums = padded.cumsum(-1, dtype=torch.float64)
    power = ((sums[..., width:] - sums[..., :-width]) / width).to(x.dtype)
    level_db = 10 * torch.log10(power + 1e-8)
    gain_db = (threshold_db - level_db).clamp_max(0) * (1 - 1 / ratio)
    return _as_loud(x * 10 ** (gain_db / 20), x, most=16)


def _saturated(x: Tensor, random: torch.Generator) -> Tensor:
    """Driven into a hyperbolic tangent, and as loud as before: its limit is 18 dB above the level to 12 dB below it."""
    limit_db = (18 - 30 * torch.rand((len(x), 1, 1), generator=random)).to(x.device)
    limit = (x.square().mean((1, 2), keepdim=True).sqrt() + 1e-6) * 10 ** (limit_db / 20)
    return _as_loud(limit * torch.tanh(x / limit), x)


def _as_loud(changed: Tensor, x: Tensor, most: float = math.inf) -> Tensor:
    """``changed`` with the power of ``x``, or ``most`` times its own if that is less."""
    power, changed_power = (signal.square().mean((1, 2), keepdim=True) for signal in (x, changed))
    return changed * (power / (changed_power + 1e-12)).clamp_max(most).sqrt()


def _band_limited(x: Tensor, sample_rate: int, random: torch.Generator) -> Tensor:
    """Nothing above a random edge."""
    low, high = BAND_EDGES_HZ
    edges = low * (high / low) ** torch.rand((len(x), 1, 1, 1), generator=random)
    frequencies = torch.linspace(0, sample_rate / 2, _fast_length(x.shape[-1]) // 2 + 1)
    return _filtered(x, torch.sigmoid((edges - frequencies) / 100).to(x.device))


def _coded(x: Tensor, random: torch.Generator) -> Tensor:
    """What a lossy codec loses: bins far below their neighbours in the mixture are dropped, from all stems.

    A stand-in for MP3 and AAC that runs on the device: their masking thresholds lie 12 to 30 dB below the local level.
    """
    window, hop = torch.hann_window(CODEC_FFT, device=x.device), CODEC_FFT // 2
    spectrum = torch.stft(x.flatten(0, -2), CODEC_FFT, hop, window=window, return_complex=True)
    spectrum = spectrum.view(*x.shape[:-1], *spectrum.shape[-2:])
    magnitude = spectrum.sum(1).abs()  # of the mixture: (segments, channels, bins, frames)
    rows = magnitude.movedim(-2, -1)
    local = torch.nn.functional.avg_pool1d(rows.flatten(0, -2)[:, None], 33, 1, 16, count_include_pad=False)
    local = local.view(rows.shape).movedim(-1, -2)
    margin_db = 12 + 18 * torch.rand((len(x), 1, 1, 1), generator=random).to(x.device)
    kept = (magnitude > local * 10 ** (-margin_db / 20))[:, None]
    coded = torch.istft((spectrum * kept).flatten(0, -3), CODEC_FFT, hop, window=window, length=x.shape[-1])
    return coded.view_as(x)

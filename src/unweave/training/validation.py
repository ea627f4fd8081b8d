"""How well a network separates held-out tracks, while it is trained."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from unweave.dsp.masks import EPSILON
from unweave.evaluation.metrics import sdr
from unweave.models.spec import MaskModelSpec
from unweave.training.shards import Clip, Shards
from unweave.training.spectrum import Transform, segment_samples

SILENT_DB = -50.0  # a stem below this in a segment has no SDR worth the name


@dataclass(frozen=True)
class Example:
    """One segment for the ear and the eye."""

    mixture: npt.NDArray[np.float32]  # (channels, samples)
    estimates: dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Validation:
    """Scores on the held-out segments."""

    sdr_db: dict[str, float]  # stem → median SDR over the segments in which it can be heard
    leak_db: dict[str, float]  # stem → median level, relative to the mixture, of what it holds where it is silent
    example: Example

    @property
    def mean_sdr_db(self) -> float:
        """The mean over the stems; NaN where none can be heard in any segment."""
        return float(np.mean(list(self.sdr_db.values()))) if self.sdr_db else float("nan")


class Validator:
    """Separates the same segments of the same tracks again and again."""

    def __init__(self, shards: Shards, spec: MaskModelSpec, n_segments: int, device: torch.device) -> None:
        self._spec = spec
        self._device = device
        self._transform = Transform(spec, device)
        self._shards = shards
        self._windows = list(_windows(shards, segment_samples(spec, spec.n_frames), n_segments))

    @property
    def name(self) -> str:
        """A name for what is separated: scores of segments of another name are no measure for these."""
        digest = hashlib.sha256()
        for clips, start in self._windows:
            digest.update(f"{start}\n".encode())
            for stem, clip in sorted(clips.items()):
                digest.update(f"{stem} {clip.track} {clip.n_samples} {clip.scale}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()[:16]

    @property
    def is_possible(self) -> bool:
        """Whether there is anything to validate with."""
        return bool(self._windows)

    @torch.inference_mode()
    def validate(self, network: nn.Module) -> Validation:
        """Scores of ``network``, which is left as it was."""
        was_training = network.training
        network.eval()
        n_samples = segment_samples(self._spec, self._spec.n_frames)
        scores: dict[str, list[float]] = {stem: [] for stem in self._spec.stems}
        leaks: dict[str, list[float]] = {stem: [] for stem in self._spec.stems}
        example = None
        for clips, start in self._windows:
            true = self._references(clips, start, n_samples)
            estimates = self._whole(self._separate(network, true.sum(0)))
            references, mixture = self._whole(true), self._whole(true.sum(0))
            for stem, reference, estimate in zip(self._spec.stems, references, estimates, strict=True):
                if _level_db(reference) > SILENT_DB:
                    scores[stem].append(sdr(reference, estimate))
                else:
                    leaks[stem].append(_level_db(estimate) - _level_db(mixture))
            example = example or Example(mixture, dict(zip(self._spec.stems, estimates, strict=True)))
        network.train(was_training)
        assert example is not None
        return Validation(_medians(scores), _medians(leaks), example)

    def _whole(self, waveforms: Tensor) -> npt.NDArray[np.float32]:
        return np.asarray(self._transform.whole_part(waveforms).cpu().numpy(), np.float32)

    def _references(self, clips: dict[str, Clip], start: int, n_samples: int) -> Tensor:
        silence = np.zeros((self._spec.n_channels, n_samples), np.float32)
        parts = [
            self._shards.read(clips[stem], start, n_samples) if stem in clips else silence for stem in self._spec.stems
        ]
        return torch.from_numpy(np.stack(parts)).to(self._device)

    def _separate(self, network: nn.Module, mixture: Tensor) -> Tensor:
        """(channels, samples) → (stems, channels, samples)."""
        spectrum = self._transform.forward(mixture)
        powers = network(spectrum.abs()[None])[:, 0].float() ** self._spec.mask_exponent
        masks = (powers + EPSILON / len(powers)) / (powers.sum(0) + EPSILON)
        return self._transform.inverse(masks * spectrum)


def _windows(shards: Shards, n_samples: int, n_segments: int) -> Iterator[tuple[dict[str, Clip], int]]:
    """Evenly spread windows over all tracks: (clips by stem, first sample)."""
    places = [
        (clips, start)
        for clips in shards.songs
        for start in range(0, max(1, next(iter(clips.values())).n_samples - n_samples // 2), n_samples)
        if any(clip.active_seconds for clip in clips.values())
    ]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(n_segments, len(places))).astype(int))
    for index in chosen.tolist():
        yield places[index]


def _level_db(signal: npt.NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.mean(signal**2) + 1e-12))


def _medians(values: dict[str, list[float]]) -> dict[str, float]:
    return {stem: float(np.median(series)) for stem, series in values.items() if series}

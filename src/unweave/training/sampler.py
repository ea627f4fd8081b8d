"""Batches of stems, drawn at random and yet the same for the same seed and step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from unweave.errors import OptionError
from unweave.training.plan import AugmentationPlan
from unweave.training.shards import CHANNELS, Clip, Shards

AUDIBLE = 0.9  # share of segments that begin in a second where the stem can be heard
LAYER_DB = 12.0  # one of several clips of a stem is at most this much softer than another
N_AHEAD = 3  # batches that are read while the network computes


class Sampler:
    """Draws segments of stems; has no state, so that a run that resumes at a step sees what it would have seen."""

    def __init__(
        self,
        shards: Shards,
        stems: Sequence[str],
        *,
        segment_samples: int,
        batch_size: int,
        plan: AugmentationPlan,
        seed: int,
        process: int = 0,
    ) -> None:
        self._shards = shards
        self._stems = tuple(stems)
        self._n_samples = segment_samples
        self._batch_size = batch_size
        self._plan = plan
        self._seed = (seed, process)
        self._by_stem = [[clip for clip in shards.clips if clip.stem == stem and clip.n_samples] for stem in stems]
        missing = [stem for stem, clips in zip(stems, self._by_stem, strict=True) if not clips]
        if missing:
            raise OptionError(f"there are no files of {', '.join(missing)} to train on")
        self._silences = np.array([plan.rare.get(stem, plan.absent) for stem in stems])
        self._chances = [_chances(clips, shards.sample_rate) for clips in self._by_stem]
        songs = [{stem: clip for stem, clip in song.items() if clip.n_samples} for song in shards.songs]
        # A track that has one stem only is no mixture; several make one, the others being silent in it.
        self._whole = [clips for clips in songs if len(clips) > 1]
        longest = [max(clips.values(), key=lambda clip: clip.n_samples) for clips in self._whole]
        self._whole_chances = _chances(longest, shards.sample_rate) if longest else None

    def batch(self, step: int) -> npt.NDArray[np.float32]:
        """The stems of step ``step``: (segments, stems, channels, samples)."""
        random = np.random.default_rng((*self._seed, step))
        return np.stack([self._segment(random) for _ in range(self._batch_size)])

    def batches(self, first_step: int) -> Iterator[npt.NDArray[np.float32]]:
        """The batches from ``first_step`` on, without end, read ahead by a thread."""
        with ThreadPoolExecutor(1) as pool:
            ahead: list[Future[npt.NDArray[np.float32]]] = []
            step = first_step
            while True:
                while len(ahead) < N_AHEAD:
                    ahead.append(pool.submit(self.batch, step + len(ahead)))
                yield ahead.pop(0).result()
                step += 1

    def _read(self, clip: Clip, start: int) -> npt.NDArray[np.float32]:
        samples = self._shards.read(clip, start, self._n_samples)
        if self._plan.level_db is not None and clip.active_seconds:  # bleed in an empty track stays as soft as it is
            samples *= np.float32(10 ** ((self._plan.level_db - clip.level_db) / 20))
        return samples

    def _drawn(self, index: int, random: np.random.Generator) -> npt.NDArray[np.float32]:
        """One clip of a stem, or several, together as loud as one."""
        clips, chances = self._by_stem[index], self._chances[index]
        n_layers = int(random.integers(self._plan.layers.get(self._stems[index], 1))) + 1
        gains = 10 ** (random.uniform(-LAYER_DB, 0, n_layers) / 20)
        out = np.zeros((CHANNELS, self._n_samples), np.float32)
        for gain in gains / np.sqrt(np.sum(gains**2)):
            clip = clips[random.choice(len(clips), p=chances)]
            out += np.float32(gain) * self._read(clip, self._start(clip, random))
        return out

    def _segment(self, random: np.random.Generator) -> npt.NDArray[np.float32]:
        """(stems, channels, samples): one song's own stems, or stems of different songs."""
        out = np.zeros((len(self._stems), CHANNELS, self._n_samples), np.float32)
        present = list(range(len(self._stems)))
        if self._whole and random.random() >= self._plan.remix:
            clips = self._whole[random.choice(len(self._whole), p=self._whole_chances)]
            start = self._start(clips[random.choice(sorted(clips))], random)
            present = [index for index, stem in enumerate(self._stems) if stem in clips]
            for index in present:
                out[index] = self._read(clips[self._stems[index]], start)
        else:
            for index in present:
                out[index] = self._drawn(index, random)
        absent = random.random(len(self._stems)) < self._silences
        absent[present[random.integers(len(present))]] = False
        out[absent] = 0
        return out

    def _start(self, clip: Clip, random: np.random.Generator) -> int:
        latest = max(0, clip.n_samples - self._n_samples)
        if clip.active_seconds and random.random() < AUDIBLE:
            second = clip.active_seconds[random.integers(len(clip.active_seconds))]
            # The audible second is somewhere inside.
            start = (second + random.random()) * self._shards.sample_rate - random.random() * self._n_samples
            return int(np.clip(start, 0, latest))
        return int(random.integers(latest + 1))


def _chances(clips: Sequence[Clip], sample_rate: int) -> npt.NDArray[np.float64]:
    """How likely each clip is drawn: by what can be heard of it, and its weight."""
    weights = np.array(
        [clip.weight * max(len(clip.active_seconds), clip.n_samples / sample_rate / 20) for clip in clips]
    )
    chances: npt.NDArray[np.float64] = weights / weights.sum()
    return chances

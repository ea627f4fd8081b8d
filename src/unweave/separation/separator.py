"""Separator: loaded models for arrays, streams and files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from unweave.audio.arguments import checked_number
from unweave.audio.decode import AudioReader, AudioSource
from unweave.engines.choose import Runtime
from unweave.errors import OptionError
from unweave.families.base import Loaded, LoadOptions
from unweave.families.load import load
from unweave.families.quality import DEFAULT_QUALITY, find_quality
from unweave.models.catalog import DEFAULT_MODEL
from unweave.models.fetch import DownloadProgress
from unweave.models.spec import ModelSpec
from unweave.separation.checks import MOST_CHANNELS, checked_path, checked_rate
from unweave.separation.ensemble import parse_ensemble
from unweave.separation.live import LiveStream
from unweave.separation.output import OutputOptions, StemSet, stem_paths
from unweave.separation.pipeline import (
    EnsemblePipeline,
    Pipeline,
    ShiftedPipeline,
    SinglePipeline,
    WienerPipeline,
    masking_of,
    segment_wiener,
)
from unweave.separation.progress import Meter, OnProgress
from unweave.separation.remix import Mix, check_target, write_mix
from unweave.separation.residual import RESIDUAL_STEM, Completion
from unweave.separation.sources import MixtureSource, open_source
from unweave.separation.stream import SeparationStream, StreamFormat, concatenated
from unweave.separation.workers import Workers
from unweave.types import Stems, Waveform

# None: ratio masks. Otherwise the multichannel Wiener filter, with spatial covariances of the track or of each segment.
Wiener = Literal["track", "segment"]

MOST_THREADS, MOST_SHIFTS = 1024, 100


class Separator:
    """A model, loaded once, that separates any number of mixtures; it may be used from several threads at once.

    ``model`` is a name of the catalogue or of an added model, or the path of a ``.json`` configuration of Spleeter's or
    of an exported ``.onnx`` or ``.safetensors`` file, or several of these: the stems of ``"a+b"`` and ``"a*2+b"`` are
    averages. ``quality`` is a preset (exact, fast, balanced, best): exact computes what the original does, to −100 dB;
    the others fill the whole band, cross-fade the segments and make the stems sum to the mixture: what is left of it
    goes to the stem that stands for everything else (accompaniment, other). With ``residual`` what is left is a stem of
    its own instead. ``shifts`` runs over shifted segments are averaged. ``wiener`` replaces the masks by the
    multichannel Wiener filter: ``"track"`` learns the stems' places in the stereo image from the whole track, in a
    first pass (what Spleeter's ``--mwf`` computes), ``"segment"`` from each segment alone, in one pass. ``device`` is
    cpu, cuda, cuda:1, mps, or auto: a graphics processor where PyTorch has one. ``precision`` is float32, float16 or
    bfloat16, or auto: float32 on the CPU, float16 elsewhere. ``accept_licence`` consents, once, to a licence that
    restricts the use of the weights. ``offline`` never opens a connection. ``threads`` is how many segments are
    computed at once; the default is the number of processors that this process may use. ``on_download`` is told of
    weights on their way (bytes so far, bytes in all or None, what).

    Use it as a context manager, or `close` it, to end its threads early. Raises `OptionError` for arguments that make
    no sense and `ModelError` where the model cannot be had: `UnknownModelError`, `DownloadError`, `ConsentError`,
    `CheckpointError`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        quality: str = DEFAULT_QUALITY,
        residual: bool = False,
        shifts: int = 1,
        wiener: Wiener | None = None,
        device: str = "auto",
        precision: str = "auto",
        accept_licence: bool = False,
        offline: bool = False,
        threads: int | None = None,
        on_download: DownloadProgress = lambda done, total, label: None,
    ) -> None:
        n_threads = 0 if threads is None else checked_number(threads, "threads", 1, MOST_THREADS)
        n_shifts = checked_number(shifts, "shifts", 1, MOST_SHIFTS)
        if wiener not in (None, "track", "segment"):
            raise OptionError(f"expected wiener to be track or segment, got {wiener!r}")
        options = LoadOptions(
            Runtime(str(device), str(precision), n_threads),
            find_quality(quality),
            accept_licence=accept_licence,
            offline=offline,
            on_download=on_download,
        )
        self._is_closed = False
        if not isinstance(model, (str, os.PathLike)):
            raise OptionError(f"expected the name or the path of a model, got {model!r}")
        self.name = str(os.fspath(model))
        # What the stems depend on, so that figures and files can tell what made them.
        self.settings: dict[str, object] = {
            "model": self.name, "quality": quality, "residual": residual, "shifts": n_shifts, "wiener": wiener,
            "device": options.runtime.device, "precision": options.runtime.precision,
        }  # fmt: skip
        members = parse_ensemble(self.name)
        self.loaded: tuple[Loaded, ...] = tuple(load(member.model, options) for member in members)
        self._keeps_residual = residual
        self._sums_to_mixture = options.quality.sums_to_mixture
        # Every thread that calls a network which spreads segments over the cores itself would keep a heap of its own.
        n_workers = 1 if all(each.fills_all_cores for each in self.loaded) else options.runtime.n_threads
        self._workers = Workers(n_workers, "unweave")
        n_threads = options.runtime.n_threads
        pipelines = [_pipeline(each, self._workers, n_threads, n_shifts, wiener) for each in self.loaded]
        self._pipeline: Pipeline = pipelines[0]
        if len(members) > 1:
            weights = [member.weight for member in members]
            self._pipeline = EnsemblePipeline(list(zip(pipelines, weights, strict=True)))

    def __enter__(self) -> Separator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads; what is under way fails. May be called again."""
        self._workers.close()
        self._is_closed = True

    @property
    def stems(self) -> tuple[str, ...]:
        """The names of all stems."""
        return self._pipeline.stems

    @property
    def spec(self) -> ModelSpec:
        """The description of the model, as it is run; of an ensemble, the first model's."""
        return self.loaded[0].spec

    @property
    def models(self) -> tuple[str, ...]:
        """The full names of the models that run."""
        return tuple(each.spec.name for each in self.loaded)

    def stem_names(self, stems: Sequence[str] | None = None) -> tuple[str, ...]:
        """What comes out when ``stems`` are asked for (None: all): these, and the residual if it is kept."""
        names = self._chosen(stems)
        return (*names, RESIDUAL_STEM) if self._keeps_residual else names

    def separate(
        self,
        mixture: Waveform | AudioSource,
        sample_rate: int | None = None,
        *,
        stems: Sequence[str] | None = None,
        on_progress: OnProgress | None = None,
    ) -> Stems:
        """The stems of ``mixture``, in memory.

        ``mixture`` is an array (channels, samples) of any float type at ``sample_rate`` Hz, or a file (a path or a
        file object), whose own rate is taken. The stems have its length and rate; mono stays mono, and more than two
        channels are downmixed to stereo. ``stems`` chooses some by name. The input is not changed. Raises
        `OptionError` for an array of another shape or without a rate, `AudioReadError` for an unusable file.
        """
        with open_source(mixture, sample_rate) as source:
            return concatenated(self._parts(source, stems, on_progress))

    def separate_file(
        self,
        source: str | os.PathLike[str],
        output_folder: str | os.PathLike[str],
        options: OutputOptions | None = None,
        *,
        stems: Sequence[str] | None = None,
        offset_seconds: float = 0.0,
        duration_seconds: float | None = None,
        track: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> dict[str, Path]:
        """Separate an audio file into files under ``output_folder``; returns each stem's path.

        ``track`` is the number of the audio track in a file that has several, from 0; None is the one that a player
        would play. Memory does not grow with the length. All files appear together when all are whole; after an error,
        a cancellation or an interrupt there is none. Raises `AudioReadError`, `AudioWriteError`, `OptionError`.
        """
        options = options or OutputOptions()
        source, output_folder = checked_path(source, "an audio file"), checked_path(output_folder, "an output folder")
        if not isinstance(options, OutputOptions):
            raise OptionError(f"expected OutputOptions, got {options!r}")
        paths = stem_paths(source, output_folder, self.stem_names(stems), options)
        with AudioReader(
            source, offset_seconds=offset_seconds, duration_seconds=duration_seconds, stream=track
        ) as reader:
            rate = options.rate_for(reader.sample_rate)
            n_channels = options.n_channels or reader.n_channels
            with StemSet(paths, options, sample_rate=rate, n_channels=n_channels, tags=reader.tags) as files:
                wants_mixture = options.format.layout is not None
                for part in self._parts(reader, stems, on_progress, rate, n_channels, with_mixture=wants_mixture):
                    files.write(part, part.mixture)
                files.commit()
        return paths

    def parts(
        self, reader: AudioReader, *, stems: Sequence[str] | None = None, on_progress: OnProgress | None = None
    ) -> Iterator[Stems]:
        """The stems of an open file as they become ready, at the file's rate and in its channels.

        Raises `AudioReadError`, and `Cancelled` where ``on_progress`` returns False.
        """
        yield from self._parts(reader, stems, on_progress)

    def remix_file(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        mix: Mix,
        options: OutputOptions,
        *,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Write the song ``source`` with its stems at other levels to ``target``, which appears whole or not at all."""
        mix.check(self.stems)
        source, target = checked_path(source, "an audio file"), checked_path(target, "a file to write")
        check_target(target, source)
        with AudioReader(source) as reader:
            write_mix(
                self.parts(reader, on_progress=on_progress),
                mix,
                target,
                options,
                sample_rate=reader.sample_rate,
                n_channels=reader.n_channels,
                tags=reader.tags,
            )

    def stream(
        self,
        sample_rate: int,
        n_channels: int = 2,
        *,
        stems: Sequence[str] | None = None,
        output_rate: int | None = None,
    ) -> SeparationStream:
        """A stream for a mixture that comes in blocks: `push` gives the stems that are ready, `flush` the rest.

        It sees the mixture once, so that ``wiener="track"`` works as ``"segment"`` does here. Raises `OptionError`.
        """
        n_channels = checked_number(n_channels, "n_channels", 1, MOST_CHANNELS)
        rate = checked_rate(sample_rate)
        out = rate if output_rate is None else checked_rate(output_rate, "output_rate")
        return self._stream(self._pipeline, StreamFormat(rate, n_channels, out, min(n_channels, 2)), stems)

    def live(
        self, *, latency_seconds: float = 0.2, step_frames: int = 1, stems: Sequence[str] | None = None
    ) -> LiveStream:
        """A stream with a short, constant latency, for music that is playing; see `LiveStream`.

        Raises `OptionError` for models that cannot do so, and for a latency that cannot be had.
        """
        if len(self.loaded) > 1:
            raise OptionError(f"only one model can separate live, not the ensemble {self.name}")
        (loaded,) = self.loaded
        if loaded.masking is None:
            raise OptionError(f"{loaded.spec.name} needs whole segments: it cannot separate live")
        return LiveStream(
            loaded.masking,
            latency_seconds=latency_seconds,
            step_frames=step_frames,
            stems=self._chosen(stems),
        )

    def _parts(
        self,
        source: MixtureSource,
        stems: Sequence[str] | None,
        on_progress: OnProgress | None,
        output_rate: int | None = None,
        output_channels: int | None = None,
        *,
        with_mixture: bool = False,
    ) -> Iterator[Stems]:
        """All of a mixture through the pipeline, part by part."""
        form = StreamFormat(
            source.sample_rate,
            source.n_channels,
            output_rate or source.sample_rate,
            output_channels or min(source.n_channels, 2),
        )
        n_passes = self._pipeline.n_learning_passes + 1
        meter = Meter(on_progress, source.expected_seconds, n_passes)
        self._chosen(stems)  # before a pass is made in vain
        learnt = self._pipeline.learn(source.again, source.sample_rate, meter.advance)
        with closing(self._stream(learnt, form, stems, with_mixture=with_mixture)) as stream:
            for part in _run(stream, source):
                meter.advance(part.n_samples / part.sample_rate)
                yield part

    def _stream(
        self, pipeline: Pipeline, form: StreamFormat, stems: Sequence[str] | None, *, with_mixture: bool = False
    ) -> SeparationStream:
        chosen = self._chosen(stems)
        completed = self._sums_to_mixture and not self._keeps_residual and pipeline.rest in chosen
        # A part of the stems lacks nothing where all of them sum to the mixture by themselves.
        completed = completed and not (pipeline.sums_to_mixture and len(chosen) < len(pipeline.stems))
        computed = pipeline.stems if completed else chosen
        completion = Completion(
            chosen, pipeline.rest if completed else None, as_stem=self._keeps_residual, with_mixture=with_mixture
        )
        return SeparationStream(pipeline.stream(form, computed), form, completion)

    def _chosen(self, stems: Sequence[str] | None) -> tuple[str, ...]:
        """The names of the chosen stems, each once, in the order in which they are asked for."""
        if self._is_closed:
            raise OptionError("the separator was closed before")
        given: Sequence[Any] = self.stems if stems is None else [stems] if isinstance(stems, str) else stems
        try:
            names = tuple(dict.fromkeys(given))
        except TypeError as error:  # no sequence, or one of no names
            raise OptionError(f"expected stems of {self.name} ({', '.join(self.stems)}), got {stems!r}") from error
        unknown = [str(name) for name in names if name not in self.stems]
        if unknown or not names:
            wrong = ", ".join(unknown) or "none"
            raise OptionError(f"expected stems of {self.name} ({', '.join(self.stems)}), got {wrong}")
        return names


def _pipeline(loaded: Loaded, workers: Workers, n_threads: int, n_shifts: int, wiener: Wiener | None) -> Pipeline:
    """One model with its options, put together."""
    single = SinglePipeline(loaded, workers, n_threads)
    filtered: SinglePipeline | WienerPipeline = single
    if wiener == "track":
        filtered = WienerPipeline(single, masking_of(loaded))
    elif wiener == "segment":
        filtered = segment_wiener(single, masking_of(loaded))
    return filtered if n_shifts == 1 else ShiftedPipeline(filtered, n_shifts)


def _run(stream: SeparationStream, blocks: Iterable[Waveform]) -> Iterator[Stems]:
    """All blocks through the stream."""
    for block in blocks:
        yield stream.feed(block)
    yield from stream.drain()

"""Separator: a loaded model (or several) for arrays, streams and files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from unweave.audio.arguments import checked_number
from unweave.audio.decode import AudioReader, AudioSource
from unweave.engines.choose import Runtime
from unweave.errors import OptionError
from unweave.families.base import Loaded, LoadOptions
from unweave.families.load import load
from unweave.families.quality import DEFAULT_QUALITY, find_quality
from unweave.models.catalogue.official import DEFAULT_MODEL
from unweave.models.spec import DownloadProgress, ModelSpec
from unweave.separation.assemble import Wiener as Wiener
from unweave.separation.assemble import assemble, check_rules, model_pipeline
from unweave.separation.checks import MOST_CHANNELS, checked_overlap, checked_path, checked_rate, checked_seconds
from unweave.separation.choice import Choice, choose
from unweave.separation.ensemble import parse_steps
from unweave.separation.output import OutputOptions, stem_paths
from unweave.separation.pipeline import Pipeline, completed_stream
from unweave.separation.progress import Meter, OnProgress
from unweave.separation.residual import RESIDUAL_STEM
from unweave.separation.rules import find_rules
from unweave.separation.sources import MixtureSource, open_source
from unweave.separation.stem_names import find_stem
from unweave.separation.stem_set import StemSet
from unweave.separation.stream import SeparationStream, StreamFormat, concatenated
from unweave.separation.workers import Workers
from unweave.types import Stems, Waveform

if TYPE_CHECKING:
    from unweave.separation.live import LiveStream
    from unweave.separation.mix import Mix

MOST_THREADS, MOST_SHIFTS = 1024, 100
MOST_SEGMENTS = 8  # of one song at once, unless told otherwise: each takes some 70 MB, and more save tenths of a second


class Separator:
    """A model that is loaded once and separates any number of mixtures, also from several threads at once.

    ``model`` is the name of a model in the catalogue or of one that was added, or the path of a Spleeter configuration
    (``.json``) or of an exported model (``.onnx``, ``.safetensors``). Several of these, as in ``"a+b"`` or
    ``"a*2+b"``, are an ensemble, whose stems are the mean of theirs; the names of some ensembles are known too. In
    ``"a > b"``, b separates one of a's stems further: the one that it is made for, or the one that ``"a[stem] > b"``
    names. All other stems of a come out as well.

    ``rule`` is how an ensemble makes one stem of several instead of taking their mean: a name such as ``"max_fft"``, or
    names by stem, ``{"vocals": "max_fft"}`` or ``"vocals=max_fft,accompaniment=min_fft"``; see
    `unweave.dsp.combining`. ``tta`` averages over each segment as it is, with its channels swapped, and with its
    polarity inverted. ``segment_seconds`` and ``overlap``, the share of a segment that the next one shares, are for
    models whose family allows others than those that they were published with.

    ``quality`` is a preset: exact, fast, balanced or best. exact computes what Spleeter computes, to −100 dB. The
    others fill in the high frequencies, cross-fade the segments, and make the stems add up to the mixture: whatever
    remains of it is added to the stem that stands for everything else (accompaniment or other). With ``residual``,
    what remains becomes a separate stem instead. With ``shifts``, the mixture is separated that many times with
    shifted segments, and the results are averaged.

    ``wiener`` replaces the masks with a multichannel Wiener filter. ``"track"`` learns where the stems are in the
    stereo image from the whole track, in a first pass (this is Spleeter's ``--mwf``); ``"segment"`` learns it from
    each segment by itself, in a single pass.

    ``device`` is cpu, cuda, cuda:1 and so on, mps, or auto, which uses a graphics card if PyTorch finds one.
    ``precision`` is float32, float16 (graphics cards only), bfloat16, or auto, which means float32 on the CPU and
    float16 elsewhere.
    ``accept_licence`` accepts a licence that restricts the use of the weights; this is needed once. With ``offline``,
    the network is never used. ``threads`` is the number of segments computed at once, by default the number of
    processors that this process may use, and no more than 8 of one song. ``on_download`` is called while weights are
    being downloaded, with the bytes so far, the total number of bytes (or None) and a label.

    Use the separator as a context manager, or `close` it, to end its threads early. Raises `OptionError` for arguments
    that make no sense, and `ModelError` if the model is not available: `UnknownModelError`, `DownloadError`,
    `ConsentError` or `CheckpointError`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        quality: str = DEFAULT_QUALITY,
        residual: bool = False,
        shifts: int = 1,
        wiener: Wiener | None = None,
        rule: str | Mapping[str, str] | None = None,
        tta: bool = False,
        segment_seconds: float | None = None,
        overlap: float | None = None,
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
        rules = None if rule is None else find_rules(rule)
        options = LoadOptions(
            Runtime(str(device), str(precision), n_threads),
            find_quality(quality),
            accept_licence=accept_licence,
            offline=offline,
            on_download=on_download,
            segment_seconds=checked_seconds(segment_seconds),
            overlap=checked_overlap(overlap),
        )
        self._is_closed = False
        if not isinstance(model, (str, os.PathLike)):
            raise OptionError(f"expected the name or the path of a model, got {model!r}")
        self.name = str(os.fspath(model))
        # What the stems depend on, so that figures and files can tell what made them.
        self.settings: dict[str, object] = {
            "model": self.name, "quality": quality, "residual": residual, "shifts": n_shifts, "wiener": wiener,
            "device": options.runtime.device, "precision": options.runtime.precision,
            "rule": rules.text if rules else None, "tta": bool(tta), "segment_seconds": options.segment_seconds,
            "overlap": options.overlap,
        }  # fmt: skip
        self._steps = parse_steps(self.name)
        check_rules(self._steps, rules)
        self._keeps_residual = residual
        self._sums_to_mixture = options.quality.sums_to_mixture
        self.loaded: tuple[Loaded, ...] = tuple(
            load(member.model, options) for step in self._steps for member in step.members
        )
        n_threads = options.runtime.n_threads
        most = n_threads if threads is not None else min(n_threads, MOST_SEGMENTS)
        n_parallel = [each.n_parallel or most for each in self.loaded]
        # Several songs at a time may use all threads.
        self._workers = Workers(max(each.n_parallel or n_threads for each in self.loaded), "unweave")
        singles = [
            model_pipeline(each, self._workers, n, n_shifts=n_shifts, wiener=wiener, tta=bool(tta))
            for each, n in zip(self.loaded, n_parallel, strict=True)
        ]
        self._pipeline = assemble(self._steps, singles, rules, fills_up=self._sums_to_mixture and not residual)
        if residual and find_stem(RESIDUAL_STEM, self.stems) is not None:
            raise OptionError(f"{self.name} has a stem called {RESIDUAL_STEM} itself; leave out the option residual")

    def __enter__(self) -> Separator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads. Separations that are still running fail. May be called more than once."""
        self._workers.close()
        self._is_closed = True

    @property
    def stems(self) -> tuple[str, ...]:
        """The names of all stems that the model separates."""
        return self._pipeline.stems

    @property
    def spec(self) -> ModelSpec:
        """The description of the model as it is run. For an ensemble, that of the first model."""
        return self.loaded[0].spec

    @property
    def models(self) -> tuple[str, ...]:
        """The full names of all models that are run."""
        return tuple(each.spec.name for each in self.loaded)

    def stem_names(self, stems: Sequence[str] | None = None) -> tuple[str, ...]:
        """The names of what comes out for ``stems`` (None: all of them), including the residual if it is kept."""
        names = self._chosen(stems).names
        return (*names, RESIDUAL_STEM) if self._keeps_residual else names

    def separate(
        self,
        mixture: Waveform | AudioSource,
        sample_rate: int | None = None,
        *,
        stems: Sequence[str] | None = None,
        on_progress: OnProgress | None = None,
    ) -> Stems:
        """Separate ``mixture`` in memory and return its stems.

        ``mixture`` is an array (channels, samples) of any float type at ``sample_rate`` Hz, or a file (a path or a
        file object), which has its own sample rate. The stems are as long as the mixture and have its sample rate.
        Mono stays mono, and more than two channels are downmixed to stereo. ``stems`` chooses stems by name, among them
        ``instrumental`` and ``no_drums`` for what is left without the vocals or the drums. The input is not changed.
        Raises `OptionError` for an array of another shape or without a sample rate, and `AudioReadError` for a file
        that cannot be read.
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
        """Separate an audio file into files in ``output_folder``, and return the path of each stem.

        ``track`` is the number of the audio track, starting from 0, in a file that has several; None means the one
        that a player would play. The memory needed does not depend on the length. The files appear together, once all
        of them are complete; after an error, a cancellation or an interrupt there are none. Raises `AudioReadError`,
        `AudioWriteError` or `OptionError`.
        """
        options = options or OutputOptions()
        source, output_folder = checked_path(source, "an audio file"), checked_path(output_folder, "an output folder")
        if not isinstance(options, OutputOptions):
            raise OptionError(f"expected OutputOptions, got {options!r}")
        if options.format.holds_several and (chosen := self._chosen(stems)).overlaps:
            raise OptionError(
                f"the stems of a {options.codec} file must not share any sound, as {', '.join(chosen.names)} do"
            )
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
        """Yield the stems of an open file as they become ready, at the file's sample rate and with its channels.

        Raises `AudioReadError`, and `Cancelled` if ``on_progress`` returns False.
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
        """Write the song ``source`` to ``target`` with its stems at other levels; the file is complete or not there.

        With the codec dawproject or rpp, ``target`` becomes a project with the stems in it or in a folder beside it.
        """
        from unweave.separation.remix import check_target, project_paths, write_mix, write_stems

        mix.check(self.stems)
        source, target = checked_path(source, "an audio file"), checked_path(target, "a file to write")
        check_target(target, source)
        write = partial(write_mix, target=target)
        if options.format.is_project:
            write = partial(write_stems, paths=project_paths(target, self.stem_names(), source, options))
        with AudioReader(source) as reader:
            write(
                self.parts(reader, on_progress=on_progress),
                mix,
                options=options,
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
        """Return a stream for a mixture that arrives in blocks: `push` returns stems that are ready, `flush` the rest.

        A stream sees the mixture only once, so ``wiener="track"`` works like ``"segment"`` here. Raises `OptionError`.
        """
        n_channels = checked_number(n_channels, "n_channels", 1, MOST_CHANNELS)
        rate = checked_rate(sample_rate)
        out = rate if output_rate is None else checked_rate(output_rate, "output_rate")
        return self._stream(self._pipeline, StreamFormat(rate, n_channels, out, min(n_channels, 2)), stems)

    def live(
        self, *, latency_seconds: float = 0.2, step_frames: int = 1, stems: Sequence[str] | None = None
    ) -> LiveStream:
        """Return a stream with a short, constant latency, for music that is playing; see `LiveStream`.

        Raises `OptionError` for models that cannot separate live, and for latencies that are not possible.
        """
        from unweave.separation.live import LiveStream

        if len(self.loaded) > 1:
            what = "pipeline" if len(self._steps) > 1 else "ensemble"
            raise OptionError(f"only a single model can separate live, not the {what} {self.name}")
        (loaded,) = self.loaded
        if loaded.masking is None:
            raise OptionError(f"{loaded.spec.name} needs whole segments, so it cannot separate live")
        return LiveStream(
            loaded.masking,
            latency_seconds=latency_seconds,
            step_frames=step_frames,
            stems=self._chosen(stems).names,
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
        return completed_stream(
            pipeline,
            form,
            self._chosen(stems),
            fills_up=self._sums_to_mixture,
            keeps_residual=self._keeps_residual,
            with_mixture=with_mixture,
        )

    def _chosen(self, stems: Sequence[str] | None) -> Choice:
        """The chosen stems, in the order in which they are asked for."""
        if self._is_closed:
            raise OptionError("this separator has been closed")
        return choose(stems, self.stems, self.name)


def _run(stream: SeparationStream, blocks: Iterable[Waveform]) -> Iterator[Stems]:
    """All blocks through the stream."""
    for block in blocks:
        yield stream.feed(block)
    yield from stream.drain()

"""Separator: one loaded model for arrays, streams and files."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np

from unweave.audio.decode import BLOCK_SAMPLES, AudioReader, AudioSource
from unweave.dsp.wiener import SpatialModel, SpatialStatistics
from unweave.engines.base import SegmentSeparator
from unweave.engines.choose import load_hybrid_network, load_network
from unweave.errors import AudioReadError, OptionError
from unweave.models.catalog import DEFAULT_MODEL
from unweave.models.consent import require_consent
from unweave.models.fetch import DownloadProgress
from unweave.models.resolve import resolve
from unweave.models.spec import MaskModelSpec, ModelSpec, WaveformModelSpec
from unweave.separation.averaging import AveragedStream, shifted
from unweave.separation.feeder import SegmentFeeder
from unweave.separation.live import LiveStream
from unweave.separation.masking import MaskingSeparator, WienerSeparator
from unweave.separation.output import OutputOptions, StemSet, stem_paths
from unweave.separation.progress import Meter, OnProgress
from unweave.separation.quality import DEFAULT_QUALITY, find_quality
from unweave.separation.remix import Mix, write_mix
from unweave.separation.residual import RESIDUAL_STEM, Residual, ResidualKeeper
from unweave.separation.stream import SeparationStream, concatenated
from unweave.separation.waveform import WaveformSeparator
from unweave.types import Stems, Waveform

# None: ratio masks. Otherwise the multichannel Wiener filter, with spatial covariances of the track or of each segment.
Wiener = Literal["track", "segment"]


class Separator:
    """A model, loaded once, that separates any number of mixtures; it may be used from several threads at once.

    ``model`` is a name of the catalogue or of an added model, or the path of a ``.json`` configuration of Spleeter's or
    of an exported ``.onnx`` or ``.safetensors`` file. ``quality`` is a preset (exact, fast, balanced,
    best): exact computes what the original does, to −100 dB; the others fill the whole band, cross-fade the segments
    and make the stems sum to the mixture. With ``residual`` what the stems lack of the mixture is a stem of its own
    instead of a part of the last one. ``shifts`` runs over shifted segments are averaged. ``wiener`` replaces the
    masks by the multichannel Wiener filter:
    ``"track"`` learns the stems' places in the stereo image from the whole track, in a first pass (what Spleeter's
    ``--mwf`` computes), ``"segment"`` from each segment alone, in one pass. ``device`` is cpu, cuda, mps, or auto: a
    graphics processor where PyTorch has one. ``precision`` is float32, float16 or bfloat16, or auto: float32 on the
    CPU, float16 elsewhere. ``accept_licence`` consents, once, to a licence that restricts the use of the weights.
    ``offline`` never opens a connection.
    ``threads`` is how many segments are computed at once; the default is the number of processors that this process
    may use. ``on_download`` is told of weights on their way (bytes so far, bytes in all or None, what).

    Raises `ModelError` where the model cannot be had: `UnknownModelError`, `DownloadError`, `ConsentError`,
    `CheckpointError`.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
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
        if threads is not None and threads < 1:
            raise OptionError(f"expected at least one thread, got {threads}")
        if not 1 <= shifts <= 100:
            raise OptionError(f"expected 1 to 100 shifts, got {shifts}")
        # What the stems depend on, so that figures and files can tell what made them.
        self.settings: dict[str, object] = {
            "model": model, "quality": quality, "residual": residual, "shifts": shifts, "wiener": wiener,
            "device": device, "precision": precision,
        }  # fmt: skip
        self._shifts = shifts
        if wiener not in (None, "track", "segment"):
            raise OptionError(f"expected wiener to be track or segment, got {wiener!r}")
        preset = find_quality(quality)
        resolved = resolve(model)
        require_consent(resolved.spec, accept_licence)
        self._residual: Residual = "stem" if residual else "to_last" if preset.sums_to_mixture else "dropped"
        location = resolved.locate(offline, on_download)
        self._n_threads = threads or available_processors()
        self._wiener = wiener
        self.spec: ModelSpec
        self._separator: SegmentSeparator
        if isinstance(resolved.spec, WaveformModelSpec):
            if wiener is not None:
                raise OptionError(f"{model} estimates waveforms: the Wiener filter needs a masking model")
            self.spec = resolved.spec
            self._separator = WaveformSeparator(self.spec, load_hybrid_network(location, self._n_threads))
        else:
            self.spec = self._mask_spec = preset.apply(resolved.spec)
            before = None
            if resolved.before is not None and isinstance(resolved.before.spec, MaskModelSpec):
                before = preset.apply(resolved.before.spec), resolved.before.locate(offline, on_download)
            self._network = load_network(
                self.spec, location, device=device, precision=precision, n_threads=self._n_threads, before=before
            )
            if isinstance(self._network, SegmentSeparator):  # a device that takes segments whole
                self._separator = self._network
            else:
                self._separator = MaskingSeparator(self.spec, self._network)
        # A waveform model spreads one segment over the cores; every thread that calls it would keep a heap of its own.
        n_workers = 1 if isinstance(resolved.spec, WaveformModelSpec) else self._n_threads
        self._executor = ThreadPoolExecutor(n_workers, thread_name_prefix="unweave")

    @property
    def stems(self) -> tuple[str, ...]:
        """The names of the model's stems."""
        return self.spec.stems

    def stem_names(self, stems: Sequence[str] | None = None) -> tuple[str, ...]:
        """What comes out when ``stems`` are asked for (None: all): these, and the residual if it is kept."""
        names = tuple(self._chosen(stems))
        return (*names, RESIDUAL_STEM) if self._residual == "stem" else names

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
        if isinstance(mixture, np.ndarray):
            if sample_rate is None:
                raise OptionError("an array needs its sample_rate in Hz")
            _check_array(mixture)
            meter = Meter(on_progress, mixture.shape[1] / sample_rate, self._n_passes)
            engine = self._prepare(lambda: _blocks(mixture), sample_rate, meter)
            stream = self._stream(engine, sample_rate, len(mixture), stems)
            return concatenated(_run(stream, _blocks(mixture), meter))
        if sample_rate is not None:
            raise OptionError("sample_rate belongs to arrays; a file has its own")
        with AudioReader(mixture) as reader:
            meter = Meter(on_progress, reader.expected_seconds, self._n_passes)
            engine = self._prepare(reader.again, reader.sample_rate, meter)
            stream = self._stream(engine, reader.sample_rate, reader.n_channels, stems)
            return concatenated(_run(stream, reader, meter))

    def separate_file(
        self,
        source: str | os.PathLike[str],
        output_folder: str | os.PathLike[str],
        options: OutputOptions | None = None,
        *,
        stems: Sequence[str] | None = None,
        offset_seconds: float = 0.0,
        duration_seconds: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> dict[str, Path]:
        """Separate an audio file into files under ``output_folder``; returns each stem's path.

        Memory does not grow with the length. All files appear together when all are whole; after an error, a
        cancellation or an interrupt there is none. Raises `AudioReadError`, `AudioWriteError`, `OptionError`.
        """
        options = options or OutputOptions()
        paths = stem_paths(Path(source), Path(output_folder), self.stem_names(stems), options)
        if offset_seconds < 0 or (duration_seconds is not None and duration_seconds <= 0):
            raise OptionError("expected an offset of at least 0 s and a duration above 0 s")
        with AudioReader(source, offset_seconds=offset_seconds, duration_seconds=duration_seconds) as reader:
            rate = options.rate_for(reader.sample_rate)
            meter = Meter(on_progress, reader.expected_seconds, self._n_passes)
            engine = self._prepare(reader.again, reader.sample_rate, meter)
            n_channels = options.n_channels or reader.n_channels
            stream = self._stream(engine, reader.sample_rate, reader.n_channels, stems, rate, n_channels)
            with StemSet(paths, options, sample_rate=rate, n_channels=n_channels, tags=reader.tags) as files:
                for part in _run(stream, reader, meter):
                    files.write(part)
                files.commit()
        return paths

    def parts(
        self, reader: AudioReader, *, stems: Sequence[str] | None = None, on_progress: OnProgress | None = None
    ) -> Iterator[Stems]:
        """The stems of an open file as they become ready, at the file's rate and in its channels.

        Raises `AudioReadError`, and `Cancelled` where ``on_progress`` returns False.
        """
        meter = Meter(on_progress, reader.expected_seconds, self._n_passes)
        engine = self._prepare(reader.again, reader.sample_rate, meter)
        yield from _run(self._stream(engine, reader.sample_rate, reader.n_channels, stems), reader, meter)

    def remix_file(
        self,
        source: str | os.PathLike[str],
        target: Path,
        mix: Mix,
        options: OutputOptions,
        *,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Write the song ``source`` with its stems at other levels to ``target``, which appears whole or not at all."""
        mix.check(self.stems)
        if Path(target).exists() and Path(target).samefile(source):
            raise OptionError(f"{target} is the input itself; choose another name")
        with AudioReader(source) as reader:
            write_mix(
                self.parts(reader, on_progress=on_progress),
                mix,
                Path(target),
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
    ) -> SeparationStream | AveragedStream:
        """A stream for a mixture that comes in blocks: `push` gives the stems that are ready, `flush` the rest.

        It sees the mixture once, so that ``wiener="track"`` works as ``"segment"`` does here.
        """
        if sample_rate <= 0 or n_channels <= 0:
            raise OptionError(f"expected a positive rate and number of channels, got {sample_rate} and {n_channels}")
        return self._stream(self._single_pass_engine(), sample_rate, n_channels, stems, output_rate)

    def live(
        self, *, latency_seconds: float = 0.2, step_frames: int = 1, stems: Sequence[str] | None = None
    ) -> LiveStream:
        """A stream with a short, constant latency, for music that is playing; see `LiveStream`.

        Raises `OptionError` for a model that cannot do so, and for a latency that cannot be had.
        """
        if isinstance(self.spec, WaveformModelSpec):
            raise OptionError(f"{self.spec.name} needs whole segments: it cannot separate live")
        return LiveStream(
            self._mask_spec, self._network, latency_seconds=latency_seconds, step_frames=step_frames, stems=stems
        )

    def _single_pass_engine(self) -> SegmentSeparator:
        return WienerSeparator(self._mask_spec, self._network) if self._wiener else self._separator

    @property
    def _n_passes(self) -> int:
        return 2 if self._wiener == "track" else 1

    def _prepare(self, blocks: Callable[[], Iterable[Waveform]], sample_rate: int, meter: Meter) -> SegmentSeparator:
        """What separates the segments of one mixture, after a first pass over it if one is needed."""
        if self._wiener is None:
            return self._separator
        separator = WienerSeparator(self._mask_spec, self._network)
        if self._wiener == "segment":
            return separator
        feeder = SegmentFeeder(
            lambda segment, is_first: separator.measure(segment),
            separator.segmentation,
            self._executor,
            self._n_threads + 1,
            sample_rate=sample_rate,
            model_rate=self.spec.sample_rate,
        )
        total: SpatialStatistics | None = None
        try:
            for statistics in _fed(feeder, blocks()):
                total = statistics if total is None else total + statistics
                meter.advance(self.spec.segmentation.hop / self.spec.sample_rate)
        finally:
            feeder.close()
        assert total is not None, "a source without samples raises before this"
        return WienerSeparator(self._mask_spec, self._network, SpatialModel(total))

    def _stream(
        self,
        engine: SegmentSeparator,
        sample_rate: int,
        n_channels: int,
        stems: Sequence[str] | None,
        output_rate: int | None = None,
        output_channels: int | None = None,
        residual: Residual | None = None,
    ) -> SeparationStream | AveragedStream:
        chosen = self._chosen(stems)
        kept = residual or self._residual_for(chosen)
        rate, n_out = output_rate or sample_rate, output_channels or min(n_channels, 2)

        def stream(engine: SegmentSeparator, residual: Residual) -> SeparationStream:
            return SeparationStream(
                engine,
                chosen,
                self._executor,
                self._n_threads + 1,
                model_rate=self.spec.sample_rate,
                sample_rate=sample_rate,
                output_rate=rate,
                n_channels=n_channels,
                output_channels=n_out,
                residual=residual,
            )

        if self._shifts == 1:
            return stream(engine, kept)
        streams = [(stream(each, "dropped"), 1.0) for each in shifted(engine, self._shifts)]
        return AveragedStream(streams, list(chosen), ResidualKeeper(kept, n_out, sample_rate, rate), rate, n_out)

    def _residual_for(self, chosen: Collection[str]) -> Residual:
        """What becomes of the residual: a part of the stems lacks more than rounding, and its last gets nothing."""
        is_part = self._residual == "to_last" and len(chosen) < len(self.stems)
        return "dropped" if is_part else self._residual

    def _chosen(self, stems: Sequence[str] | None) -> dict[str, int]:
        """The chosen stems and their places in the model."""
        names = self.stems if stems is None else tuple(stems)
        unknown = [name for name in names if name not in self.stems]
        if unknown or not names:
            given = ", ".join(unknown) or "none"
            raise OptionError(f"expected stems of {self.spec.name} ({', '.join(self.stems)}), got {given}")
        return {name: self.stems.index(name) for name in names}


def available_processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _fed(feeder: SegmentFeeder[SpatialStatistics], blocks: Iterable[Waveform]) -> Iterator[SpatialStatistics]:
    for block in blocks:
        yield from feeder.push(block)
    yield from feeder.flush()


def _run(stream: SeparationStream | AveragedStream, blocks: Iterable[Waveform], meter: Meter) -> Iterator[Stems]:
    """All blocks through the stream."""

    def parts() -> Iterator[Stems]:
        for block in blocks:
            yield stream.push(block)
        yield from stream.drain()

    try:
        for part in parts():
            meter.advance(part.n_samples / part.sample_rate)
            yield part
    finally:
        stream.close()


def _check_array(mixture: Waveform) -> None:
    if mixture.ndim != 2 or len(mixture) == 0 or len(mixture) > max(8, mixture.shape[1]):
        raise OptionError(f"expected an array of shape (channels, samples), got {mixture.shape}")
    if not np.issubdtype(mixture.dtype, np.floating):
        raise OptionError(f"expected an array of floats in -1 to 1, got {mixture.dtype}")
    if mixture.shape[1] == 0:
        raise AudioReadError("the array holds no audio samples")


def _blocks(mixture: Waveform) -> Iterator[Waveform]:
    for start in range(0, mixture.shape[1], BLOCK_SAMPLES):
        block = mixture[:, start : start + BLOCK_SAMPLES].astype(np.float32)
        yield np.nan_to_num(block, copy=False, nan=0.0, posinf=0.0, neginf=0.0)

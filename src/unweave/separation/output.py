"""Where stems are written: paths from a template, and sets of files that appear together or not at all."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Literal

import numpy as np

from unweave.audio.arguments import checked_number, is_number
from unweave.audio.decode import AudioReader
from unweave.audio.encode import AudioWriter
from unweave.audio.formats import BIT_DEPTHS, LOSSLESS, OutputFormat, find_format, parse_bitrate
from unweave.audio.stem_files import MIXTURE
from unweave.audio.tags import Tags
from unweave.errors import OptionError
from unweave.separation.checks import checked_rate
from unweave.separation.commit import commit_together
from unweave.separation.identity import check_target, identity
from unweave.separation.templates import DEFAULT_TEMPLATE, DEFAULT_TEMPLATE_OF_ONE, HERE, Flavour, relative_path
from unweave.types import Stems, Waveform

log = logging.getLogger(__name__)

Clip = Literal["clamp", "rescale"]


@dataclass(frozen=True)
class OutputOptions:
    """How stems are written."""

    codec: str = "wav"  # wav, flac, mp3, ogg, opus, m4a or wma; stem.mp4 or vdjstems for all stems in one file
    bitrate: str = "128k"  # per stem, for lossy formats; "lossless" means ALAC, for m4a, stem.mp4 and vdjstems
    bit_depth: str = "16"  # 16, 24 or 32f (float) for wav, 16 or 24 for flac
    clip: Clip = "clamp"  # what to do with samples beyond full scale if the format cannot represent them
    filename_format: str = DEFAULT_TEMPLATE  # fields: {filename}, {foldername}, {instrument} or {stem}, {codec}
    sample_rate: int | None = None  # in Hz; None means that of the input
    n_channels: int | None = None  # 1 or 2; None means that of the input, but at most two

    def __post_init__(self) -> None:
        for field in ("codec", "bit_depth", "clip"):
            object.__setattr__(self, field, str(getattr(self, field)).strip().lower())
        object.__setattr__(self, "bitrate", _bitrate(self.bitrate))
        object.__setattr__(self, "filename_format", _template(self.filename_format))
        if self.sample_rate is not None:
            object.__setattr__(self, "sample_rate", checked_rate(self.sample_rate))
        if self.n_channels is not None:
            object.__setattr__(self, "n_channels", checked_number(self.n_channels, "n_channels", 1, 2))
        if self.bit_depth not in BIT_DEPTHS:
            raise OptionError(f"expected a bit depth of {', '.join(BIT_DEPTHS)}, got {self.bit_depth!r}")
        if self.clip not in ("clamp", "rescale"):
            raise OptionError(f"expected clip to be clamp or rescale, got {self.clip!r}")
        self.format.encoder(self.bit_depth)
        if self.format.layout is not None and self.clip == "rescale":
            raise OptionError(f"{self.codec} files cannot be rescaled; use clip=clamp")
        self._tell_of_another_rate()
        # A template that no song could be written by is refused before any is read.
        relative_stem_paths("song", "folder", ("stem",), self)

    def _tell_of_another_rate(self) -> None:
        if self.sample_rate is not None and (nearest := self.rate_for(self.sample_rate)) != self.sample_rate:
            log.warning(
                "%s files cannot have a sample rate of %d Hz; they will have %d Hz",
                self.codec, self.sample_rate, nearest,
            )  # fmt: skip

    @property
    def format(self) -> OutputFormat:
        """The format that ``codec`` stands for, with its lossless encoder if the bitrate asks for it."""
        known = find_format(self.codec)
        return known.lossless() if self.bitrate == LOSSLESS else known

    def rate_for(self, input_rate: int) -> int:
        """The sample rate of the output in Hz for an input at ``input_rate``."""
        return self.format.sample_rate(self.sample_rate or input_rate)


def stem_paths(source: Path, folder: Path, stems: Sequence[str], options: OutputOptions) -> dict[str, Path]:
    """The path of each stem of ``source`` in ``folder``.

    All stems have the same path if the format puts them into one file. Raises `OptionError` for a template that cannot
    be used or leads out of ``folder``, for two stems that would have the same path, and for a stem that would overwrite
    the source; `AudioWriteError` for a path that cannot be written.
    """
    below = relative_stem_paths(file_label(source), folder_label(source), stems, options)
    paths = {stem: folder / path for stem, path in below.items()}
    itself = identity(source)
    for path in dict.fromkeys(paths.values()):
        check_target(path)
        if itself is not None and identity(path) == itself:
            raise OptionError(f"{path} is the input itself; choose another folder or template")
    return paths


def relative_stem_paths(
    filename: str, foldername: str, stems: Sequence[str], options: OutputOptions, flavour: Flavour = HERE
) -> dict[str, PurePath]:
    """The path of each stem within the output folder, without looking at the disk. Raises `OptionError`."""
    template = options.filename_format
    shares_a_file = options.format.layout is not None
    if shares_a_file and template == DEFAULT_TEMPLATE:
        template = DEFAULT_TEMPLATE_OF_ONE
    paths = {}
    for stem in stems:
        name = "stems" if shares_a_file else stem
        values = {
            "filename": filename,
            "foldername": foldername,
            "instrument": name,
            "stem": name,
            "codec": options.codec,
        }
        paths[stem] = relative_path(template, values, flavour)
    if not shares_a_file and len({str(path).casefold() for path in paths.values()}) < len(paths):
        raise OptionError(
            f"the template {options.filename_format!r} gives several stems the same path; add {{instrument}} to it"
        )
    return paths


def file_label(source: PurePath) -> str:
    """What ``{filename}`` stands for: the name without its extension, or all of it if that would be ``.`` or ``..``."""
    return next((name for name in (source.stem, source.name) if name not in ("", ".", "..")), "song")


def folder_label(source: Path) -> str:
    """What ``{foldername}`` stands for: the folder that the file is in, even if the path does not name it."""
    name = source.parent.name
    if name in ("", ".."):
        name = Path(os.path.realpath(source.parent)).name
    return name or "root"  # a file at the very top


class StemSet:
    """Writes several stems at once; their files appear under their names together, when all are whole.

    Use it as a context manager: `write` as stems come, `commit` at the end. Without `commit` nothing is left behind,
    and files that were there before stay as they were. Stems that must be encoded are encoded side by side.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        options: OutputOptions,
        *,
        sample_rate: int,
        n_channels: int,
        tags: Tags | None = None,
    ) -> None:
        self._options = options
        self._stack = ExitStack()
        self._sample_rate = sample_rate
        self._n_channels = n_channels
        self._tags = tags
        # Rescaling needs the peak of the whole song, so the stems wait in float files.
        self._is_deferred = options.clip == "rescale" and options.bit_depth != "32f"
        self._is_encoded = not self._is_deferred and options.format.container != "wav"
        self._pool: ThreadPoolExecutor | None = None
        self._writers: dict[str, AudioWriter] = {}
        self._layout = options.format.layout
        try:
            if self._layout is not None:
                path = next(iter(paths.values()))
                self._writers[path.name] = self._open(path, options.format, options.bit_depth)
                return
            for name, path in paths.items():
                writer = (
                    self._open(path, find_format("wav"), "32f")
                    if self._is_deferred
                    else self._open(path, options.format, options.bit_depth)
                )
                self._writers[name] = writer
            if len(paths) > 1 and self._is_encoded:
                # Entered last and so left first: no file is closed while a thread encodes into it.
                self._pool = self._stack.enter_context(ThreadPoolExecutor(len(paths), "unweave-encoder"))
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> StemSet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def write(self, stems: Stems, mixture: Waveform | None = None) -> None:
        """Append to every stem.

        ``mixture`` is the song itself, (channels, samples) like each stem: files that hold it beside the stems take it
        as it is. Without it they take the sum of the stems, which is the song only where all stems are there.
        """
        if self._layout is None:
            self._for_each(lambda name, writer: writer.write(stems[name]))
        elif stems.n_samples:
            (writer,) = self._writers.values()
            rows = self._layout.rows(stems)
            if mixture is not None:
                expected = (self._n_channels, stems.n_samples)
                if mixture.shape != expected:
                    raise OptionError(f"expected a mixture of shape {expected}, as the stems are, got {mixture.shape}")
                for number, (_, names) in enumerate(self._layout.streams):
                    if MIXTURE in names:
                        rows[number * self._n_channels : (number + 1) * self._n_channels] = mixture
            writer.write(rows)

    def commit(self) -> None:
        """Finish all files, then give all of them their names, or none. Raises `AudioWriteError`."""
        self._for_each(lambda name, writer: writer.finish())
        if self._is_deferred:
            self._rescale()
        remedy = "32-bit float wav" if self._layout is not None else "clip=rescale or 32-bit float wav"
        for writer in self._writers.values():
            writer.tell_of_clipping(remedy)
        commit_together(list(self._writers.values()))

    def _for_each(self, action: Callable[[str, AudioWriter], None]) -> None:
        """Do the same to all files, and wait until it is done."""
        if self._pool is None:
            for name, writer in self._writers.items():
                action(name, writer)
            return
        for future in [self._pool.submit(action, name, writer) for name, writer in self._writers.items()]:
            future.result()

    def _open(self, path: Path, format: OutputFormat, bit_depth: str) -> AudioWriter:
        return self._stack.enter_context(
            AudioWriter(
                path,
                format,
                sample_rate=self._sample_rate,
                n_channels=self._n_channels,
                bit_depth=bit_depth,
                bitrate=parse_bitrate(self._options.bitrate),
                tags=self._tags,
            )
        )

    def _rescale(self) -> None:
        """Encode the waiting float files, all with one gain, so that the stems still sum to the (scaled) mixture."""
        peak = max(writer.peak for writer in self._writers.values())
        gain = np.float32(min(1.0, 1.0 / peak) if peak > 0 else 1.0)
        if gain < 1:
            log.warning("all stems were scaled by %.1f dB, so that none exceeds full scale", 20 * np.log10(gain))
        for name, waiting in self._writers.items():
            writer = self._open(waiting.path, self._options.format, self._options.bit_depth)
            assert waiting.temporary is not None
            with waiting, AudioReader(waiting.temporary) as reader:
                for block in reader:
                    scaled: Waveform = block * gain
                    writer.write(scaled)
            writer.finish()
            self._writers[name] = writer


def _bitrate(given: Any) -> str:
    """A bitrate as `parse_bitrate` takes it; a number too small for bits means kilobits: 320 is 320k."""
    text = f"{float(given):g}" if is_number(given) and given < 1000 else str(given).strip().lower()
    try:
        if float(text) < 1000:
            text += "k"
    except ValueError:  # with a unit, or no number at all
        pass
    parse_bitrate(text)
    return text


def _template(given: object) -> str:
    text = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(text, str):
        raise OptionError(f"expected a template such as {DEFAULT_TEMPLATE}, got {given!r}")
    return text

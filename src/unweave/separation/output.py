"""How and where stems are written: formats, and paths from a template."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

from unweave.audio.arguments import checked_number, is_number
from unweave.audio.formats import BIT_DEPTHS, FORMATS, LOSSLESS, OutputFormat, find_format, parse_bitrate
from unweave.errors import OptionError
from unweave.separation.checks import checked_rate
from unweave.separation.identity import check_target, identity
from unweave.separation.projects import (
    PROJECT,
    add_extension,
    check_names,
    check_stems,
    checked_tempo,
)
from unweave.separation.templates import (
    DEFAULT_TEMPLATE,
    DEFAULT_TEMPLATE_OF_ONE,
    DEFAULT_TEMPLATE_OF_PROJECT,
    HERE,
    Flavour,
    relative_path,
)

log = logging.getLogger(__name__)

Clip = Literal["clamp", "rescale"]


@dataclass(frozen=True)
class OutputOptions:
    """How stems are written."""

    codec: str = "wav"  # wav, flac, mp3, ogg, opus, m4a, wma; all stems in one: stem.mp4, vdjstems, dawproject, rpp
    bitrate: str = "128k"  # per stem, for lossy formats; "lossless" means ALAC, for m4a, stem.mp4 and vdjstems
    bit_depth: str = "16"  # 16, 24 or 32f (float) for wav and projects, 16 or 24 for flac and ALAC
    clip: Clip = "clamp"  # what to do with samples beyond full scale if the format cannot represent them
    filename_format: str = DEFAULT_TEMPLATE  # fields: {filename}, {foldername}, {instrument} or {stem}, {codec}
    sample_rate: int | None = None  # in Hz; None means that of the input
    n_channels: int | None = None  # 1 or 2; None means that of the input, but at most two
    tempo: float | None = None  # of projects, in beats per minute; None means that of the song's tags, or 120

    def __post_init__(self) -> None:
        for field in ("codec", "bit_depth", "clip"):
            object.__setattr__(self, field, str(getattr(self, field)).strip().lower())
        object.__setattr__(self, "bitrate", _bitrate(self.bitrate))
        object.__setattr__(self, "filename_format", _template(self.filename_format))
        if self.sample_rate is not None:
            object.__setattr__(self, "sample_rate", checked_rate(self.sample_rate))
        if self.n_channels is not None:
            object.__setattr__(self, "n_channels", checked_number(self.n_channels, "n_channels", 1, 2))
        if self.tempo is not None:
            object.__setattr__(self, "tempo", checked_tempo(self.tempo))
        if self.bit_depth not in BIT_DEPTHS:
            raise OptionError(f"expected a bit depth of {', '.join(BIT_DEPTHS)}, got {self.bit_depth!r}")
        if self.clip not in ("clamp", "rescale"):
            raise OptionError(f"expected clip to be clamp or rescale, got {self.clip!r}")
        self.format.encoder(self.bit_depth)
        if self.format.layout is not None and self.clip == "rescale":
            raise OptionError(f"{self.codec} files cannot be rescaled; use clip=clamp")
        self._tell_of_another_rate()
        self._tell_of_another_extension()
        # A template that no song could be written by is refused before any is read.
        relative_stem_paths("song", "folder", ("stem",), self)

    def _tell_of_another_rate(self) -> None:
        if self.sample_rate is not None and (nearest := self.rate_for(self.sample_rate)) != self.sample_rate:
            log.warning(
                "%s files cannot have a sample rate of %d Hz; they will have %d Hz",
                self.codec, self.sample_rate, nearest,
            )  # fmt: skip

    def _tell_of_another_extension(self) -> None:
        extension = PurePath(self.filename_format).suffix[1:].lower()
        if extension in FORMATS and extension not in (self.codec, self.format.stem_extension):
            log.warning(
                "the names of the stems end in .%s, but they are %s files; for %s, choose that format (-c %s)",
                extension, self.codec, extension, extension,
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

    All stems have the same path if the format puts them into one file; a project beside its stems is called `PROJECT`.
    Raises `OptionError` for a template that cannot be used or leads out of ``folder``, for two stems that would have
    the same path, and for a stem that would overwrite the source; `AudioWriteError` for a path that cannot be written.
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
    kind = options.format

    def path_of(name: str, extension: str, default: str = DEFAULT_TEMPLATE) -> PurePath:
        values = {
            "filename": filename,
            "foldername": foldername,
            "instrument": name,
            "stem": name,
            "codec": extension,
        }
        template = default if options.filename_format == DEFAULT_TEMPLATE else options.filename_format
        return relative_path(template, values, flavour)

    if kind.is_project:
        check_stems(stems)
    if kind.is_one_file:
        path = path_of("stems", options.codec, DEFAULT_TEMPLATE_OF_ONE)
        return dict.fromkeys(stems, add_extension(path, options.codec) if kind.is_project else path)
    paths = {stem: path_of(stem, kind.stem_extension or options.codec) for stem in stems}
    if kind.is_project:
        project = path_of("stems", options.codec, DEFAULT_TEMPLATE_OF_PROJECT)
        paths[PROJECT] = add_extension(project, options.codec)
        check_names(paths)
    if len({str(path).casefold() for path in paths.values()}) < len(paths):
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

"""The table of formats that can be written: extension → container, encoder, sample formats, rates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from unweave.audio.stem_files import STEM_MP4, VDJSTEMS, StreamLayout
from unweave.errors import OptionError

BitDepth = Literal["16", "24", "32f"]
BIT_DEPTHS: tuple[BitDepth, ...] = ("16", "24", "32f")


@dataclass(frozen=True)
class OutputFormat:
    """One format of output, as FFmpeg (or libsndfile, for Ogg Vorbis) names its parts."""

    extension: str
    container: str
    encoders: dict[str, str]  # bit depth → encoder; lossy formats have one, under ""
    sample_rates: tuple[int, ...] | None = None  # None: any
    highest_rate: int | None = None  # Hz; None: there is none, or the list says it
    has_bitrate: bool = False
    lossless_encoder: str = ""  # instead of the lossy one, for the bitrate "lossless"
    layout: StreamLayout | None = None  # several streams in one file; None: one stem in each
    is_project: bool = False  # a DAW's project, with the stems in it or beside it
    stem_extension: str = ""  # of stems beside a project; "": there are none

    @property
    def holds_several(self) -> bool:
        """Whether it takes all stems of a song together."""
        return self.layout is not None or self.is_project

    @property
    def is_one_file(self) -> bool:
        """Whether all stems of a song are in one file."""
        return self.holds_several and not self.stem_extension

    def lossless(self) -> OutputFormat:
        """This format with its lossless encoder. Raises `OptionError` where there is none."""
        if not self.is_lossy:
            return self
        if not self.lossless_encoder:
            raise OptionError(f"{self.extension} files cannot be lossless")
        return replace(
            self,
            encoders={"16": self.lossless_encoder, "24": self.lossless_encoder},
            sample_rates=None,
            has_bitrate=False,
        )

    @property
    def is_lossy(self) -> bool:
        """Whether the encoder takes a bitrate rather than a bit depth."""
        return "" in self.encoders

    def encoder(self, bit_depth: str) -> str:
        """The encoder for ``bit_depth``; raises `OptionError` where the format has none."""
        if self.is_lossy:
            return self.encoders[""]
        if bit_depth not in self.encoders:
            depths = ", ".join(self.encoders)
            raise OptionError(f"{self.extension} files can have {depths} bits per sample, not {bit_depth}")
        return self.encoders[bit_depth]

    def sample_rate(self, wanted: int) -> int:
        """The nearest rate that the format has, in Hz: the lowest not below ``wanted``, or else the highest."""
        if self.sample_rates is None:
            return wanted if self.highest_rate is None else min(wanted, self.highest_rate)
        if wanted in self.sample_rates:
            return wanted
        higher = [rate for rate in self.sample_rates if rate > wanted]
        return min(higher) if higher else max(self.sample_rates)


PCM = {"16": "pcm_s16le", "24": "pcm_s24le", "32f": "pcm_f32le"}

MPEG_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

AAC_RATES = (*MPEG_RATES, 64000, 88200, 96000)

LOSSLESS = "lossless"  # the bitrate that asks for it

FORMATS = {
    entry.extension: entry
    for entry in (
        OutputFormat("wav", "wav", PCM),
        # FLAC states rates in 20 bits (RFC 9639); DSD of the higher kinds is decoded to more.
        OutputFormat("flac", "flac", {"16": "flac", "24": "flac"}, highest_rate=768_000),
        OutputFormat("mp3", "mp3", {"": "libmp3lame"}, MPEG_RATES, has_bitrate=True),
        # libvorbis has no settings above 200 kHz, and libsndfile crashes when such a file is closed.
        OutputFormat("ogg", "ogg", {"": "vorbis"}, highest_rate=192_000, has_bitrate=True),
        OutputFormat("opus", "opus", {"": "libopus"}, (48000,), has_bitrate=True),
        OutputFormat("m4a", "mp4", {"": "aac"}, AAC_RATES, has_bitrate=True, lossless_encoder="alac"),
        OutputFormat("wma", "asf", {"": "wmav2"}, (8000, 11025, 16000, 22050, 32000, 44100, 48000), has_bitrate=True),
        OutputFormat(
            "stem.mp4", "mp4", {"": "aac"}, AAC_RATES, has_bitrate=True, lossless_encoder="alac", layout=STEM_MP4
        ),
        OutputFormat(
            "vdjstems", "mp4", {"": "aac"}, AAC_RATES, has_bitrate=True, lossless_encoder="alac", layout=VDJSTEMS
        ),
        OutputFormat("dawproject", "wav", PCM, is_project=True),
        OutputFormat("rpp", "wav", PCM, is_project=True, stem_extension="wav"),
    )
}

# What counts as audio when a folder is searched (see `is_audio_file`); any file given by name is tried.
READABLE_EXTENSIONS = frozenset(
    {"wav", "wave", "bwf", "w64", "rf64", "aif", "aiff", "aifc", "caf", "au", "snd", "flac", "alac", "wv", "ape", "tta"}
    | {"tak", "shn", "dsf", "dff", "mlp", "thd"}
    | {
        "mp3",
        "mp2",
        "mp1",
        "mpga",
        "ogg",
        "oga",
        "opus",
        "spx",
        "m4a",
        "m4b",
        "m4r",
        "aac",
        "ac3",
        "eac3",
        "ec3",
        "dts",
    }
    | {"dtshd", "wma", "asf", "mka", "weba", "mpc", "amr", "awb", "ra", "rm", "voc"}
    | {"mp4", "m4v", "mkv", "mov", "qt", "avi", "divx", "webm", "wmv", "ogv", "3gp", "3g2", "flv", "f4v", "mxf", "vob"}
    | {"mpg", "mpeg", "ts", "mts", "m2ts", "m2t"}
)


def find_format(extension: str) -> OutputFormat:
    """The format for ``extension``, without its dot. Raises `OptionError` with the formats there are."""
    if extension not in FORMATS:
        raise OptionError(f"cannot write {extension!r} files; the possible formats are {', '.join(FORMATS)}")
    return FORMATS[extension]


def parse_bitrate(text: str) -> int:
    """Bits per second from "128k", "0.2M" or "128000"; 0 for "lossless". Raises `OptionError`."""
    if text == LOSSLESS:
        return 0
    factor = {"k": 1_000, "m": 1_000_000}.get(text[-1:].lower(), 1)
    digits = text if factor == 1 else text[:-1]
    try:
        bitrate = round(float(digits) * factor)
    except (ValueError, OverflowError):  # no number; infinity
        bitrate = 0
    if not 1_000 <= bitrate <= 10_000_000:
        raise OptionError(f"expected a bitrate like 128k, or lossless, got {text[:50]!r}")
    return bitrate

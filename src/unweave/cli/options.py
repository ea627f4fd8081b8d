"""Options that several commands share: one name, one meaning, one help text."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

DEFAULT_MODEL = "spleeter:2stems"
DEFAULT_QUALITY = "balanced"
DEFAULT_TEMPLATE = "{filename}/{instrument}.{codec}"


def _in_lower_case(value: str) -> str:
    return value.strip().lower()


Model = Annotated[
    str,
    typer.Option(
        "-p",
        "--params_filename",
        "--model",
        metavar="NAME",
        help="Model to use: a name from 'unweave models list', or the path of a model file or configuration. 'a+b' "
        "takes several together, 'a > b' one after the other.",
    ),
]
Quality = Annotated[
    str,
    typer.Option(
        "-q",
        "--quality",
        metavar="NAME",
        callback=_in_lower_case,
        help="exact (the same as Spleeter), fast, balanced or best.",
    ),
]
Codec = Annotated[
    str,
    typer.Option(
        "-c",
        "--codec",
        metavar="FORMAT",
        help="File format: wav, flac, mp3, ogg, opus, m4a or wma; stem.mp4 or vdjstems for one file with all stems; "
        "dawproject or rpp for a project with the stems as tracks.",
    ),
]
Bitrate = Annotated[
    str,
    typer.Option(
        "-b",
        "--bitrate",
        metavar="RATE",
        help="Bitrate of lossy formats, such as 192k; in m4a, stem.mp4 and vdjstems also 'lossless'.",
    ),
]
BitDepth = Annotated[
    str,
    typer.Option(
        "--bit_depth",
        metavar="BITS",
        help="Bits per sample: 16, 24 or 32f (float) for wav and projects, 16 or 24 for flac.",
    ),
]
SampleRate = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--sample_rate", metavar="HZ", help="Sample rate of the stems in Hz.", show_default="that of the input"
    ),
]
Clip = Annotated[
    str,
    typer.Option(
        "--clip", metavar="HOW", help="What to do with samples beyond full scale: clamp, or rescale all stems alike."
    ),
]
Tempo = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        "--tempo",
        metavar="BPM",
        help="Beats per minute in a project (dawproject or rpp).",
        show_default="that of the song's tags, or 120",
    ),
]
FilenameFormat = Annotated[
    str,
    typer.Option(
        "-f",
        "--filename_format",
        metavar="PATTERN",
        help="Path of each stem within the output folder. Fields: {filename}, {foldername}, {instrument} or {stem}, "
        "{codec}.",
    ),
]
StemNames = Annotated[
    Optional[str],  # noqa: UP045 - typer reads it at run time on Python 3.10
    typer.Option(
        "--stems",
        metavar="STEMS",
        help="Write only these stems, separated by commas; instrumental and no_drums, say, are the song without the "
        "vocals or the drums.",
        show_default=False,
    ),
]
Mwf = Annotated[
    bool,
    typer.Option("--mwf", help="Use a multichannel Wiener filter, which needs a second pass over the song."),
]
Shifts = Annotated[
    int,
    typer.Option(
        "--shifts", metavar="NUMBER", min=1, help="Separate this many times with shifted segments and take the average."
    ),
]
Rule = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--rule",
        metavar="RULE",
        help="How an ensemble (-p a+b) makes one stem of several: avg_wave, median_wave, min_wave, max_wave, avg_fft, "
        "median_fft, min_fft, max_fft, uvr_min_spec, uvr_max_spec or phase_fix; or by stem, such as "
        "vocals=max_fft,other=min_fft.",
        show_default="the mean",
    ),
]
Tta = Annotated[
    bool,
    typer.Option(
        "--tta", help="Also separate with left and right swapped, and upside down, and take the average of all three."
    ),
]
Segment = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        "--segment",
        metavar="SECONDS",
        help="Length in seconds of the pieces that a model sees at once, where its family allows others.",
        show_default="as published",
    ),
]
Overlap = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        "--overlap",
        metavar="SHARE",
        help="How much of each piece the next one shares, from 0 to 0.98, where the family allows others.",
        show_default="as published",
    ),
]
Device = Annotated[
    str,
    typer.Option("--device", metavar="NAME", callback=_in_lower_case, help="Where to compute: cpu, cuda, mps or auto."),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="NAME",
        callback=_in_lower_case,
        help="float32, bfloat16, or on graphics cards float16; auto means float32 on the CPU, float16 elsewhere.",
    ),
]
AcceptLicence = Annotated[
    bool, typer.Option("--accept_licence", help="Accept a licence that restricts how the weights may be used.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Never use the network.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show details and tracebacks.")]


def names_in(text: str | None) -> tuple[str, ...] | None:
    """Names separated by commas; None where nothing was given."""
    return tuple(name.strip() for name in text.split(",")) if text else None

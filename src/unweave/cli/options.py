"""Options that several commands share: one name, one meaning, one help text."""

from __future__ import annotations

import click

from unweave.cli.commands import Decorator, file_names, flag, number, option
from unweave.separation.templates import DEFAULT_TEMPLATE


def _in_lower_case(ctx: click.Context, param: click.Parameter, value: str) -> str:
    return value.strip().lower()


model = option(
    "-p",
    "--params_filename",
    "--model",
    "model",
    placeholder="NAME",
    default="spleeter:2stems",
    shell_complete=file_names,
    help="Model to use: a name from 'unweave models list', or the path of a model file or configuration. \"a+b\" takes "
    'several together, "a > b" one after the other.',
)
quality = option(
    "-q",
    "--quality",
    placeholder="NAME",
    default="balanced",
    callback=_in_lower_case,
    help="exact (the same as Spleeter), fast, balanced or best.",
)
codec = option(
    "-c",
    "--codec",
    placeholder="FORMAT",
    default="wav",
    help="File format: wav, flac, mp3, ogg, opus, m4a or wma; stem.mp4 or vdjstems for one file with all stems; "
    "dawproject or rpp for a project with the stems as tracks.",
)


def bitrate(default: str) -> Decorator:
    """``bitrate``, as a text such as 192k."""
    return option(
        "-b",
        "--bitrate",
        placeholder="RATE",
        default=default,
        help="Bitrate of lossy formats, such as 192k; in m4a, stem.mp4 and vdjstems also 'lossless'.",
    )


bit_depth = option(
    "--bit_depth",
    placeholder="BITS",
    default="16",
    help="Bits per sample: 16, 24 or 32f (float) for wav and projects, 16 or 24 for flac and with '-b lossless'.",
)
sample_rate = option(
    "--sample_rate",
    placeholder="HZ",
    type=number(int),
    help="Sample rate of the stems in Hz.",
    show_default="that of the input",
)
clip = option(
    "--clip",
    placeholder="HOW",
    default="clamp",
    help="What to do with samples beyond full scale: clamp, or rescale all stems alike.",
)
tempo = option(
    "--tempo",
    placeholder="BPM",
    type=number(float),
    help="Beats per minute in a project (dawproject or rpp).",
    show_default="that of the song's tags, or 120",
)
filename_format = option(
    "-f",
    "--filename_format",
    placeholder="PATTERN",
    default=DEFAULT_TEMPLATE,
    help="Path of each stem within the output folder. Fields: {filename}, {foldername}, {instrument} or {stem}, "
    "{codec}.",
)
offset = option(
    "-s",
    "--offset",
    placeholder="SECONDS",
    type=number(float),
    default=0.0,
    help="Start this many seconds into each file.",
)
stems = option(
    "--stems",
    placeholder="STEMS",
    help="Write only these stems, separated by commas; instrumental and no_drums, say, are the song without the "
    "vocals or the drums.",
)
mwf = flag("--mwf", help="Use a multichannel Wiener filter, which needs a second pass over the song.")
shifts = option(
    "--shifts",
    placeholder="NUMBER",
    type=number(int, 1),
    default=1,
    help="Separate this many times with shifted segments and take the average.",
)
rule = option(
    "--rule",
    placeholder="RULE",
    help="How an ensemble (-p a+b) makes one stem of several: avg_wave, median_wave, min_wave, max_wave, avg_fft, "
    "median_fft, min_fft, max_fft, uvr_min_spec, uvr_max_spec or phase_fix; or by stem, such as "
    "vocals=max_fft,other=min_fft.",
    show_default="the mean",
)
tta = flag(
    "--tta", help="Also separate with left and right swapped, and upside down, and take the average of all three."
)
segment = option(
    "--segment",
    placeholder="SECONDS",
    type=number(float),
    help="Length in seconds of the pieces that a model sees at once, where its family allows others.",
    show_default="as published",
)
overlap = option(
    "--overlap",
    placeholder="SHARE",
    type=number(float),
    help="How much of each piece the next one shares, from 0 to 0.98, where the family allows others.",
    show_default="as published",
)


def device(default: str = "auto") -> Decorator:
    """``device``, in lower case."""
    return option(
        "--device",
        placeholder="NAME",
        default=default,
        callback=_in_lower_case,
        help="Where to compute: cpu, cuda, mps or auto.",
    )


precision = option(
    "--precision",
    placeholder="NAME",
    default="auto",
    callback=_in_lower_case,
    help="float32, bfloat16, or on graphics cards float16; auto means float32 on the CPU, float16 elsewhere.",
)
accept_licence = flag("--accept_licence", help="Accept a licence that restricts how the weights may be used.")
offline = flag("--offline", help="Never use the network.")
verbose = flag("--verbose", help="Show details and tracebacks.")


def names_in(text: str | None) -> tuple[str, ...] | None:
    """Names separated by commas; None where nothing was given."""
    return tuple(name.strip() for name in text.split(",")) if text else None

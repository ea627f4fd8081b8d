"""From a checkpoint's tensors, and what is said about them, to the description of the network; or: not mine.

Most of a description can be read off the tensors' shapes. The rest (names of stems, length of a segment, groups of
norms) is in the arguments of the original's constructor (`unweave.families.demucs.arguments`). Without them the weights
are taken for the published ``hdemucs_mmi``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from unweave.errors import CheckpointError
from unweave.families.demucs.arguments import (
    FOUR_STEMS,
    Shapes,
    class_name,
    n_fft_of,
    read_arguments,
    refuse_unknown,
    require_channels,
    sample_rate_of,
    segment_samples,
    stems_of,
)
from unweave.families.hdemucs.spec import N_HEADS, HDemucsSpec

KIND = "HDemucs"
PUBLISHED_STEMS = {4: FOUR_STEMS}
DEFAULT_SEGMENT = 40  # seconds, of the original's constructor
# The bags that Demucs publishes say 44 seconds, whatever their networks say: hdemucs_mmi, and the four of mdx_extra.
PUBLISHED_SEGMENT = 44
PUBLISHED = ("75fc33f5", "e51eebcc", "a1d90b5c", "5d2d6c55", "cfa93e08")  # how names of their files begin

# What the original's constructor can be told, and the only value that is computed here.
REQUIRED: dict[str, object] = {"cac": True, "rewrite": True, "hybrid": True, "wiener_iters": 0, "multi_freqs": None}
# Those that do not change what a trained network computes.
IRRELEVANT = {"end_iters", "wiener_residual", "multi_freqs_depth", "emb_smooth", "dconv_init", "rescale"}
# Those that no shape tells.
FREE = ("freq_emb", "emb_scale", "norm_groups")
# Those that the shapes tell, and that must agree with them.
DERIVED = (
    "channels", "channels_time", "growth", "depth", "kernel_size", "stride", "time_stride", "context", "context_enc",
    "norm_starts", "dconv_mode", "dconv_depth", "dconv_comp", "dconv_attn", "dconv_lstm",
)  # fmt: skip
STARTS = ("norm_starts", "dconv_attn", "dconv_lstm")  # the first layer with something, or any number behind the last
EMBEDDING = "freq_emb.embedding.weight"


def recognise(
    tensors: Mapping[str, Any], configuration: Mapping[str, object] | None = None, name: str = ""
) -> HDemucsSpec | None:
    """The description of an HDemucs checkpoint in the file ``name``, or None for another family's.

    Of ``tensors`` only names and shapes are read. Raises `CheckpointError` for an HDemucs that cannot be computed
    here, and says what in it is unknown.
    """
    configuration = configuration or {}
    shapes = Shapes(tensors)
    if not _is_mine(shapes, configuration):
        return None
    arguments = read_arguments(configuration, KIND, DEFAULT_SEGMENT)
    refuse_unknown(arguments, REQUIRED, {*IRRELEVANT, *FREE, *DERIVED, "nfft", "hybrid_old"}, KIND)
    try:
        derived = _derived(shapes, arguments)
    except KeyError as error:
        raise CheckpointError(f"the weights are of an HDemucs of an unknown kind: they lack {error.args[0]}") from error
    except (ValueError, ArithmeticError, IndexError) as error:
        raise CheckpointError("the weights are of an HDemucs of an unknown kind: their shapes do not fit") from error
    for argument in DERIVED:
        told, found = arguments.get(argument), derived[argument]
        if argument in STARTS and isinstance(told, int):
            told = min(told, derived["depth"])
        if told is not None and told != found and not _is_idle(argument, derived, shapes):
            raise CheckpointError(
                f"the configuration says {argument}={arguments[argument]!r}, but the weights are of {found!r}"
            )
    spec = HDemucsSpec(
        **derived,
        **_free(shapes, arguments),
        segment_samples=segment_samples(
            _segment(configuration, arguments, name), derived["sample_rate"], derived["n_fft"]
        ),
    )
    _check(spec, shapes)
    return spec


def _is_mine(shapes: Shapes, configuration: Mapping[str, object]) -> bool:
    klass = class_name(configuration)
    if klass:
        return klass == KIND
    parts = {"encoder.0.conv.weight", "tencoder.0.conv.weight", "decoder.0.conv_tr.weight"}
    return parts <= shapes.names and not any(name.startswith("crosstransformer.") for name in shapes.names)


def _is_idle(name: str, derived: Mapping[str, Any], shapes: Shapes) -> bool:
    """Whether an argument is about a part that the network does not have."""
    if name == "time_stride":
        return shapes.count("encoder.") == shapes.count("tencoder.")
    return name.startswith("dconv_") and name != "dconv_mode" and not derived["dconv_mode"]


def _segment(configuration: Mapping[str, object], arguments: Mapping[str, Any], name: str) -> Any:
    """Seconds: what the bag says, or else the network."""
    if "models" in configuration and configuration.get("segment") is not None:
        return configuration["segment"]
    told = arguments.get("segment")
    return PUBLISHED_SEGMENT if told is None or name.startswith(PUBLISHED) else told


def _free(shapes: Shapes, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What no shape tells."""
    free: dict[str, Any] = {}
    for name in FREE:
        value = arguments.get(name)
        if value is None:
            continue
        kinds = (int,) if name == "norm_groups" else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool) or not math.isfinite(value):
            raise CheckpointError(f"the configuration says {name}={value!r}, which is no such number")
        free[name] = value
    if EMBEDDING not in shapes.names:
        free["freq_emb"] = 0.0
    free["zero_borders"] = bool(arguments.get("hybrid_old"))
    return free


def _derived(shapes: Shapes, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `HDemucsSpec` that are no matter of choice, but for the length of a segment."""
    channels, n_inputs, kernel_size, _ = shapes["encoder.0.conv.weight"]
    channels_time = shapes["tencoder.0.conv.weight"][0]
    depth, n_apart = shapes.count("encoder."), shapes.count("tencoder.")
    stride, audio_channels = kernel_size // 2, n_inputs // 2
    n_fft = n_fft_of(arguments, 2 * stride * shapes[EMBEDDING][0] if EMBEDDING in shapes.names else None)
    require_channels(arguments, audio_channels)
    n_stems = shapes[f"decoder.{depth - 1}.conv_tr.bias"][0] // (2 * audio_channels)
    before = max(channels, channels_time) if n_apart == 2 else channels  # what grows into the second layer
    return {
        "stems": stems_of(arguments.get("sources"), n_stems, PUBLISHED_STEMS),
        "sample_rate": sample_rate_of(arguments),
        "audio_channels": audio_channels,
        "n_fft": n_fft,
        "channels": channels,
        "channels_time": channels_time,
        "growth": shapes["encoder.1.conv.weight"][0] // before if depth > 1 else 2,
        "depth": depth,
        "kernel_size": kernel_size,
        "stride": stride,
        "time_stride": shapes[f"encoder.{n_apart}.conv.weight"][2] // 2 if depth > n_apart else 2,
        "context": (shapes["decoder.0.rewrite.weight"][-1] - 1) // 2,
        "context_enc": (shapes["encoder.0.rewrite.weight"][-1] - 1) // 2,
        "norm_starts": _first(shapes, [f"encoder.{layer}.norm1.weight" for layer in range(depth)]),
        **_residual(shapes, depth),
    }


def _residual(shapes: Shapes, depth: int) -> dict[str, Any]:
    """What the residual branches are like."""
    encoder = [f"encoder.{layer}.dconv.layers." for layer in range(depth)]
    decoder = [f"decoder.{depth - 1 - layer}.dconv.layers." for layer in range(depth)]
    mode = (1 if shapes.count(encoder[0]) else 0) + (2 if shapes.count(decoder[0]) else 0)
    branches = encoder if mode & 1 else decoder
    hidden, channels = shapes[f"{branches[0]}0.0.weight"][:2] if mode else (1, 4)
    attention = [[f"{branch}0.{index}.query_decay.weight" for branch in branches] for index in (3, 4)]
    return {
        "dconv_mode": mode,
        "dconv_depth": shapes.count(branches[0]),
        "dconv_comp": channels // hidden,
        "dconv_attn": min(_first(shapes, names) for names in attention),
        "dconv_lstm": _first(shapes, [f"{branch}0.3.lstm.weight_ih_l0" for branch in branches]),
    }


def _first(shapes: Shapes, names: list[str]) -> int:
    """The place of the first name that there is; behind the last one where there is none."""
    return next((place for place, name in enumerate(names) if name in shapes.names), len(names))


def _check(spec: HDemucsSpec, shapes: Shapes) -> None:
    """Refuse what the spec does not describe to the last tensor. Raises `CheckpointError`."""
    if spec.kernel_size != 2 * spec.stride or spec.stride % 2 or not spec.stride:
        raise CheckpointError(f"an HDemucs with kernel_size={spec.kernel_size} is not supported")
    if spec.time_stride % 2 or not spec.time_stride:
        raise CheckpointError(f"an HDemucs with time_stride={spec.time_stride} is not supported")
    n_apart = shapes.count("tencoder.")
    if spec.n_fft != 4 * spec.stride**n_apart or spec.depth < n_apart:
        raise CheckpointError(
            f"an HDemucs of {n_apart} and {spec.depth} layers over {spec.n_bins} bins is not supported"
        )
    shapes.require(spec.shapes(), KIND)
    for layer in (*spec.layers(time=False), *spec.layers(time=True)):
        widths = (layer.n_channels, layer.n_outputs)
        if spec.has_norms(layer) and (spec.norm_groups < 1 or any(width % spec.norm_groups for width in widths)):
            raise CheckpointError(
                f"layers of {min(widths)} channels cannot be normed by norm_groups={spec.norm_groups}"
            )
        if spec.dconv_mode and spec.has_attention(layer) and (layer.n_channels // spec.dconv_comp) % N_HEADS:
            raise CheckpointError(f"{layer.n_channels // spec.dconv_comp} channels cannot be shared by {N_HEADS} heads")

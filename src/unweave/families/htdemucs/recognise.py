"""From a checkpoint's tensors, and what is said about them, to the description of the network; or: not mine.

Most of a description can be read off the tensors' shapes. The rest (names of stems, length of a segment, number of
heads) is in the arguments of the original's constructor (`unweave.families.demucs.arguments`). Without them the weights
are taken for one of the published models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
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
from unweave.families.htdemucs.spec import HTDemucsSpec

KIND = "HTDemucs"
PUBLISHED_STEMS = {4: FOUR_STEMS, 6: (*FOUR_STEMS, "guitar", "piano")}
PUBLISHED_SEGMENT = Fraction(39, 5)  # seconds
DEFAULT_SEGMENT = 10  # seconds, of the original's constructor

# What the original's constructor can be told, and the only value that is computed here.
REQUIRED: dict[str, object] = {
    "cac": True,
    "rewrite": True,
    "wiener_iters": 0,
    "multi_freqs": None,
    "t_emb": "sin",
    "t_norm_in_group": False,
    "t_group_norm": False,
    "t_norm_first": True,
    "t_sparse_self_attn": False,
    "t_sparse_cross_attn": False,
    "num_subbands": 1,
}
# Those that do not change what a trained network computes.
IRRELEVANT = {
    "end_iters", "wiener_residual", "multi_freqs_depth", "emb_smooth", "time_stride", "norm_starts", "norm_groups",
    "dconv_init", "t_dropout", "t_max_positions", "t_weight_decay", "t_lr", "t_sin_random_shift",
    "t_cape_mean_normalize", "t_cape_augment", "t_cape_glob_loc_scale", "t_mask_type", "t_mask_random_seed",
    "t_sparse_attn_window", "t_global_window", "t_sparsity", "t_auto_sparsity", "rescale", "use_train_segment",
}  # fmt: skip
# Those that no shape tells.
FREE = ("t_heads", "freq_emb", "emb_scale", "t_max_period", "t_weight_pos_embed", "t_gelu")
# Those that the shapes tell, and that must agree with them.
DERIVED = (
    "channels", "channels_time", "growth", "depth", "kernel_size", "stride", "context", "context_enc", "dconv_mode",
    "dconv_depth", "dconv_comp", "bottom_channels", "t_layers", "t_hidden_scale", "t_cross_first", "t_norm_in",
    "t_norm_out", "t_layer_scale",
)  # fmt: skip


def recognise(tensors: Mapping[str, Any], configuration: Mapping[str, object] | None = None) -> HTDemucsSpec | None:
    """The description of an HTDemucs checkpoint, or None for another family's.

    Of ``tensors`` only names and shapes are read. Raises `CheckpointError` for an HTDemucs that cannot be computed
    here, and says what in it is unknown.
    """
    configuration = configuration or {}
    shapes = Shapes(tensors)
    if not _is_mine(shapes, configuration):
        return None
    arguments = read_arguments(configuration, KIND, DEFAULT_SEGMENT)
    refuse_unknown(arguments, REQUIRED, {*IRRELEVANT, *FREE, *DERIVED, "nfft"}, KIND)
    try:
        derived = _derived(shapes, arguments)
    except KeyError as error:
        raise CheckpointError(
            f"the weights are of an HTDemucs of an unknown kind: they lack {error.args[0]}"
        ) from error
    except (ValueError, ArithmeticError, IndexError) as error:
        raise CheckpointError("the weights are of an HTDemucs of an unknown kind: their shapes do not fit") from error
    for name in DERIVED:
        told = arguments.get(name)
        if told is not None and told != derived[name] and not _is_idle(name, derived):
            raise CheckpointError(f"the configuration says {name}={told!r}, but the weights are of {derived[name]!r}")
    free = {name: arguments[name] for name in FREE if arguments.get(name) is not None}
    for name, value in free.items():
        kinds = (int,) if name == "t_heads" else (int, float)
        if not isinstance(value, kinds) or not math.isfinite(value):
            raise CheckpointError(f"the configuration says {name}={value!r}, which is no such number")
    if "freq_emb.embedding.weight" not in shapes.names:
        free["freq_emb"] = 0.0
    spec = HTDemucsSpec(**{**derived, **free})
    _check(spec, shapes)
    return spec


def _is_idle(name: str, derived: Mapping[str, Any]) -> bool:
    """Whether an argument is about a part that the network does not have."""
    if name.startswith("t_") and name != "t_layers":
        return not derived["t_layers"]
    return name in ("dconv_depth", "dconv_comp") and not derived["dconv_mode"]


def _is_mine(shapes: Shapes, configuration: Mapping[str, object]) -> bool:
    klass = class_name(configuration)
    if klass and klass != KIND:
        return False
    parts = {f"{branch}.0.{conv}.weight" for branch, conv in (("encoder", "conv"), ("tencoder", "conv"))}
    if not parts <= shapes.names:
        return False
    return klass == KIND or any(name.startswith("crosstransformer.") for name in shapes.names)


def _derived(shapes: Shapes, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `HTDemucsSpec` that are no matter of choice."""
    channels, n_inputs, kernel_size, _ = shapes["encoder.0.conv.weight"]
    depth = shapes.count("encoder.")
    stride = kernel_size // 2
    dconv = {branch: shapes.count(f"{branch}.0.dconv.layers.") for branch in ("encoder", "decoder")}
    dconv_branch = "encoder" if dconv["encoder"] else "decoder"
    hidden = shapes[f"{dconv_branch}.0.dconv.layers.0.0.weight"] if any(dconv.values()) else (1, 8)
    bottom = shapes["channel_upsampler.weight"][0] if "channel_upsampler.weight" in shapes.names else 0
    width = bottom or shapes[f"encoder.{depth - 1}.conv.weight"][0]
    n_layers = shapes.count("crosstransformer.layers.")
    audio_channels = n_inputs // 2
    n_stems = shapes[f"decoder.{depth - 1}.conv_tr.bias"][0] // (2 * audio_channels)
    embedding = "freq_emb.embedding.weight"
    n_fft = n_fft_of(arguments, 2 * stride * shapes[embedding][0] if embedding in shapes.names else None)
    require_channels(arguments, audio_channels)
    sample_rate = sample_rate_of(arguments)
    segment = arguments.get("segment")
    growth = shapes["encoder.1.conv.weight"][0] // channels if depth > 1 else 2
    return {
        "stems": stems_of(arguments.get("sources"), n_stems, PUBLISHED_STEMS),
        "sample_rate": sample_rate,
        "segment_samples": segment_samples(PUBLISHED_SEGMENT if segment is None else segment, sample_rate, n_fft),
        "audio_channels": audio_channels,
        "n_fft": n_fft,
        "channels": channels,
        "channels_time": shapes["tencoder.0.conv.weight"][0],
        "growth": growth,
        "depth": depth,
        "kernel_size": kernel_size,
        "stride": stride,
        "context": (shapes["decoder.0.rewrite.weight"][2] - 1) // 2,
        "context_enc": (shapes["encoder.0.rewrite.weight"][2] - 1) // 2,
        "dconv_mode": (1 if dconv["encoder"] else 0) + (2 if dconv["decoder"] else 0),
        "dconv_depth": dconv[dconv_branch],
        "dconv_comp": hidden[1] // hidden[0],
        "bottom_channels": bottom,
        "t_layers": n_layers,
        "t_hidden_scale": shapes["crosstransformer.layers.0.linear1.weight"][0] / width if n_layers else 4.0,
        "t_cross_first": "crosstransformer.layers.0.cross_attn.in_proj_weight" in shapes.names,
        "t_norm_in": "crosstransformer.norm_in.weight" in shapes.names,
        "t_norm_out": "crosstransformer.layers.0.norm_out.weight" in shapes.names,
        "t_layer_scale": "crosstransformer.layers.0.gamma_1.scale" in shapes.names,
    }


def _check(spec: HTDemucsSpec, shapes: Shapes) -> None:
    """Refuse what the spec does not describe to the last tensor. Raises `CheckpointError`."""
    if spec.kernel_size != 2 * spec.stride or spec.stride % 2:
        raise CheckpointError(f"an HTDemucs with kernel_size={spec.kernel_size} is not supported")
    if spec.n_bins % spec.stride**spec.depth or spec.n_bins // spec.stride ** (spec.depth - 1) <= spec.kernel_size:
        raise CheckpointError(f"an HTDemucs of {spec.depth} layers over {spec.n_bins} bins is not supported")
    if spec.t_layers and (spec.t_heads < 1 or spec.transformer_channels % spec.t_heads):
        raise CheckpointError(f"{spec.transformer_channels} channels cannot be shared by t_heads={spec.t_heads}")
    if spec.t_layers and spec.transformer_channels % 4:
        raise CheckpointError(f"a transformer of {spec.transformer_channels} channels is not supported")
    shapes.require(spec.shapes(), KIND)

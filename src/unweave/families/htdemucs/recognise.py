"""From a checkpoint's tensors, and what is said about them, to the description of the network; or: not mine.

Most of a description can be read off the tensors' shapes. The rest (names of stems, length of a segment, number of
heads) is in the arguments of the original's constructor, which come in one of these forms:

* the package that Demucs saves (``.th``): ``klass``, ``args`` and ``kwargs``;
* the same three as JSON in the metadata of a safetensors file (Demucs 4.1), where a fraction is a small object;
* a YAML file of "Music-Source-Separation-Training", with the sections ``training`` and ``htdemucs``;
* nothing: then the weights are taken for one of the published models.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from unweave.errors import CheckpointError
from unweave.families.htdemucs.spec import HTDemucsSpec, Shape

FOUR_STEMS = ("drums", "bass", "other", "vocals")
PUBLISHED_STEMS = {4: FOUR_STEMS, 6: (*FOUR_STEMS, "guitar", "piano")}
PUBLISHED_SEGMENT = Fraction(39, 5)  # seconds
# Of the original's constructor.
DEFAULT_SEGMENT = 10  # seconds
DEFAULT_SAMPLE_RATE = 44100
DEFAULT_N_FFT = 4096
MAX_SEGMENT = 60  # seconds: attention over a minute takes seventy times as long as over the published 7.8 seconds

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
OTHER_NAMES = {"nfft": "n_fft"}


def recognise(tensors: Mapping[str, Any], configuration: Mapping[str, object] | None = None) -> HTDemucsSpec | None:
    """The description of an HTDemucs checkpoint, or None for another family's.

    Of ``tensors`` only names and shapes are read. Raises `CheckpointError` for an HTDemucs that cannot be computed
    here, and says what in it is unknown.
    """
    configuration = configuration or {}
    shapes = _Shapes(tensors)
    if not _is_mine(shapes, configuration):
        return None
    arguments = _arguments(configuration)
    _refuse_unknown(arguments)
    try:
        derived = _derived(shapes, arguments)
    except KeyError as error:
        raise CheckpointError(f"the weights are of an HTDemucs of an unknown kind: they lack {error}") from error
    except (ValueError, ArithmeticError, IndexError) as error:
        raise CheckpointError("the weights are of an HTDemucs of an unknown kind: their shapes do not fit") from error
    for name in DERIVED:
        told = arguments.get(name)
        if told is not None and told != derived[name] and not (name == "depth" and told == -derived[name]):
            raise CheckpointError(f"the configuration says {name}={told!r}, but the weights are of {derived[name]!r}")
    free = {name: arguments[name] for name in FREE if arguments.get(name) is not None}
    for name, value in free.items():
        if isinstance(value, str) or not math.isfinite(float(value)):
            raise CheckpointError(f"the configuration says {name}={value!r}, which is no number")
    if "freq_emb.embedding.weight" not in shapes.names:
        free["freq_emb"] = 0.0
    spec = HTDemucsSpec(**{**derived, **free})
    _check(spec, shapes)
    return spec


class _Shapes:
    """The shapes of tensors, which may be lying in a file still."""

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self.names = set(tensors)
        self._tensors = tensors
        self._shape_of = getattr(tensors, "shape", None)

    def __getitem__(self, name: str) -> Shape:
        if name not in self.names:
            raise KeyError(name)
        return tuple(self._shape_of(name) if self._shape_of else self._tensors[name].shape)

    def count(self, prefix: str) -> int:
        """How many numbers follow ``prefix`` in names, counted from 0."""
        n = 0
        while any(name.startswith(f"{prefix}{n}.") for name in self.names):
            n += 1
        return n


def _is_mine(shapes: _Shapes, configuration: Mapping[str, object]) -> bool:
    klass = str(configuration.get("klass") or "").rpartition(".")[2]
    if klass and klass != "HTDemucs":
        return False
    parts = {f"{branch}.0.{conv}.weight" for branch, conv in (("encoder", "conv"), ("tencoder", "conv"))}
    if not parts <= shapes.names:
        return False
    return klass == "HTDemucs" or any(name.startswith("crosstransformer.") for name in shapes.names)


def _arguments(configuration: Mapping[str, object]) -> dict[str, Any]:
    """What the original's constructor was called with, by name."""
    arguments: dict[str, Any] = {}
    if "klass" in configuration:
        args, kwargs = _decoded(configuration.get("args") or ()), _decoded(configuration.get("kwargs") or {})
        if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping) or len(args) > 1:
            raise CheckpointError("the arguments in the checkpoint are not those of an HTDemucs")
        arguments = {"segment": DEFAULT_SEGMENT, **kwargs}
        if args:
            arguments["sources"] = args[0]
        return arguments
    section = configuration.get("htdemucs", configuration.get("model"))
    if isinstance(section, Mapping):
        arguments.update(section)
    training = configuration.get("training")
    if isinstance(training, Mapping):
        names = {"instruments": "sources", "channels": "audio_channels"}
        for name in ("instruments", "channels", "samplerate", "segment"):
            if training.get(name) is not None:
                arguments[names.get(name, name)] = training[name]
    return arguments


def _decoded(value: Any) -> Any:
    """Arguments as the metadata of a safetensors file hold them, or as they are."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise CheckpointError(f"the arguments in the checkpoint are no JSON: {error}") from error
    return value


def _refuse_unknown(arguments: Mapping[str, Any]) -> None:
    known = {*IRRELEVANT, *FREE, *DERIVED, *OTHER_NAMES, "sources", "audio_channels", "samplerate", "segment"}
    for name, value in arguments.items():
        if name in REQUIRED:
            wanted = REQUIRED[name]
            if value != wanted and (value or wanted):
                raise CheckpointError(f"an HTDemucs with {name}={value!r} is not supported, only with {wanted!r}")
        elif name not in known and value:
            raise CheckpointError(f"an HTDemucs with {name}={value!r} is not supported")


def _derived(shapes: _Shapes, arguments: Mapping[str, Any]) -> dict[str, Any]:
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
    if "freq_emb.embedding.weight" in shapes.names:
        n_fft = 2 * stride * shapes["freq_emb.embedding.weight"][0]
    else:
        n_fft = arguments.get("nfft", DEFAULT_N_FFT)
        if not isinstance(n_fft, int) or not 16 <= n_fft <= 1 << 16 or n_fft & (n_fft - 1):
            raise CheckpointError(f"the configuration says nfft={n_fft!r}; powers of two up to 65536 can be computed")
    if arguments.get("nfft") not in (None, n_fft):
        raise CheckpointError(f"the configuration says nfft={arguments['nfft']!r}, but the weights are of {n_fft}")
    if arguments.get("audio_channels") not in (None, audio_channels):
        raise CheckpointError(f"the weights are for {audio_channels} channels, not {arguments['audio_channels']!r}")
    sample_rate = arguments.get("samplerate", DEFAULT_SAMPLE_RATE)
    if not isinstance(sample_rate, int) or isinstance(sample_rate, bool) or sample_rate <= 0:
        raise CheckpointError(f"the configuration says samplerate={sample_rate!r}")
    growth = shapes["encoder.1.conv.weight"][0] // channels if depth > 1 else 2
    return {
        "stems": _stems(arguments.get("sources"), n_stems),
        "sample_rate": sample_rate,
        "segment_samples": _segment_samples(arguments.get("segment"), sample_rate, n_fft),
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


def _stems(told: object, n_stems: int) -> tuple[str, ...]:
    if told is None:
        if n_stems not in PUBLISHED_STEMS:
            raise CheckpointError(f"the weights give {n_stems} stems, whose names only a configuration can tell")
        return PUBLISHED_STEMS[n_stems]
    if not isinstance(told, list | tuple) or not all(isinstance(name, str) and name for name in told):
        raise CheckpointError(f"the stems' names are not a list of names: {told!r}")
    if len(told) != n_stems or len(set(told)) != n_stems:
        raise CheckpointError(f"the weights give {n_stems} stems, but the configuration names {', '.join(told)}")
    return tuple(told)


def _segment_samples(told: Any, sample_rate: int, n_fft: int) -> int:
    """The segment in samples, from seconds as a number, a fraction, or the JSON of a fraction."""
    if told is None:
        told = PUBLISHED_SEGMENT
    try:
        if isinstance(told, Mapping):
            told = Fraction(told["numerator"], told["denominator"])
        elif isinstance(told, str):
            told = Fraction(told)
        n_samples = int(told * sample_rate)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise CheckpointError(f"the configuration says segment={told!r}, which is no number of seconds") from error
    if not 2 * n_fft <= n_samples <= MAX_SEGMENT * sample_rate:
        shortest = 2 * n_fft / sample_rate
        raise CheckpointError(
            f"the configuration says segment={told}; from {shortest:.2g} to {MAX_SEGMENT} seconds can be computed"
        )
    return n_samples


def _check(spec: HTDemucsSpec, shapes: _Shapes) -> None:
    """Refuse what the spec does not describe to the last tensor. Raises `CheckpointError`."""
    if spec.kernel_size != 2 * spec.stride or spec.stride % 2:
        raise CheckpointError(f"an HTDemucs with kernel_size={spec.kernel_size} is not supported")
    if spec.n_bins % spec.stride**spec.depth or spec.n_bins // spec.stride ** (spec.depth - 1) <= spec.kernel_size:
        raise CheckpointError(f"an HTDemucs of {spec.depth} layers over {spec.n_bins} bins is not supported")
    if spec.t_layers and (spec.t_heads < 1 or spec.transformer_channels % spec.t_heads):
        raise CheckpointError(f"{spec.transformer_channels} channels cannot be shared by t_heads={spec.t_heads}")
    if spec.t_layers and spec.transformer_channels % 4:
        raise CheckpointError(f"a transformer of {spec.transformer_channels} channels is not supported")
    expected = spec.shapes()
    if unknown := sorted(shapes.names - set(expected)):
        raise CheckpointError(f"the weights are of an HTDemucs of an unknown kind: they hold {unknown[0]}")
    for name, shape in expected.items():
        if name not in shapes.names:
            raise CheckpointError(f"the weights are of an HTDemucs of an unknown kind: they lack {name}")
        if shapes[name] != shape:
            raise CheckpointError(f"{name} has the shape {shapes[name]}, expected {shape}")

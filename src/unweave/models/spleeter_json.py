"""Spleeter's JSON configurations, read into our own description of a model.

Everything the original accepts is accepted: keys of training are known but say nothing about a loaded model. What the
original ignores in silence, unknown keys and contradictions, is an error that names the key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from unweave.errors import ModelError
from unweave.models.spec import Activation, Head, MaskExtension, MaskModelSpec

SEPARATION_KEYS = frozenset(
    {"instrument_list", "sample_rate", "frame_length", "frame_step", "T", "F", "n_channels"}
    | {"separation_exponent", "mask_extension", "model", "model_dir", "mix_name"}
)
TRAINING_KEYS = frozenset(
    {"train_csv", "validation_csv", "training_cache", "validation_cache", "learning_rate", "batch_size", "loss_type"}
    | {"train_max_steps", "throttle_secs", "random_seed", "save_checkpoints_steps", "save_summary_steps", "optimizer"}
    | {"chunk_duration", "n_chunks_per_song", "separation_sampling_rate", "stft_backend", "MWF"}
)
NETWORK_KEYS = frozenset({"conv_n_filters", "conv_activation", "deconv_activation", "use_elu", "output_mask_logit"})
HEADS: dict[str, Head] = {"unet.unet": "sigmoid", "unet.softmax_unet": "softmax"}
ACTIVATIONS: dict[str, Activation] = {"ELU": "elu", "ReLU": "relu", "LeakyReLU": "leaky_relu"}
GRID = 64  # six halvings: frames and bins must be multiples of it


def read_spleeter_json(path: Path) -> tuple[MaskModelSpec, str]:
    """The model that the file at ``path`` describes, and its ``model_dir``. Raises `ModelError`."""
    try:
        parameters = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}") from error
    try:
        return parse_spleeter_json(parameters, name=path.stem)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def parse_spleeter_json(parameters: Any, name: str) -> tuple[MaskModelSpec, str]:
    """As `read_spleeter_json`, from the parsed JSON."""
    if not isinstance(parameters, dict):
        raise ModelError("expected a JSON object with Spleeter's parameters")
    _reject_unknown(parameters, SEPARATION_KEYS | TRAINING_KEYS, "")
    network = parameters.get("model", {})
    if not isinstance(network, dict):
        raise ModelError(f"model must be an object with type and params, got {network!r}")
    _reject_unknown(network, frozenset({"type", "params"}), "model.")
    layers = network.get("params", {})
    _reject_unknown(layers, NETWORK_KEYS, "model.params.")
    kind = network.get("type", "unet.unet")
    if kind not in HEADS:
        raise ModelError(f"model.type must be one of {', '.join(HEADS)}, got {kind!r}")
    elu = layers.get("use_elu", False)
    spec = MaskModelSpec(
        name=name,
        weights=name,
        stems=_stems(parameters),
        head=HEADS[kind],
        encoder_activation="elu" if elu else ACTIVATIONS.get(str(layers.get("conv_activation")), "leaky_relu"),
        decoder_activation="elu" if elu else ACTIVATIONS.get(str(layers.get("deconv_activation")), "relu"),
        n_filters=tuple(layers.get("conv_n_filters", (16, 32, 64, 128, 256, 512))),
        sample_rate=_integer(parameters, "sample_rate", 44100),
        n_channels=_integer(parameters, "n_channels", 2),
        n_fft=_integer(parameters, "frame_length", 4096),
        hop_length=_integer(parameters, "frame_step", 1024),
        n_bins=_integer(parameters, "F", 1024),
        n_frames=_integer(parameters, "T", 512),
        mask_exponent=float(parameters.get("separation_exponent", 2)),
        mask_extension=cast(MaskExtension, parameters.get("mask_extension", "zeros")),
        summary="from a configuration of Spleeter's",
    )
    _check(spec)
    return spec, str(parameters.get("model_dir", name))


def write_spleeter_json(spec: MaskModelSpec, model_dir: str) -> str:
    """The inverse of `parse_spleeter_json`: ``spec`` as the text of a configuration of Spleeter's."""
    kinds = {head: kind for kind, head in HEADS.items()}
    names = {activation: name for name, activation in ACTIVATIONS.items()}
    parameters = {
        "mix_name": "mix",
        "instrument_list": list(spec.stems),
        "sample_rate": spec.sample_rate,
        "frame_length": spec.n_fft,
        "frame_step": spec.hop_length,
        "T": spec.n_frames,
        "F": spec.n_bins,
        "n_channels": spec.n_channels,
        "separation_exponent": spec.mask_exponent,
        "mask_extension": spec.mask_extension,
        "model_dir": model_dir,
        "model": {
            "type": kinds[spec.head],
            "params": {
                "conv_n_filters": list(spec.n_filters),
                "conv_activation": names[spec.encoder_activation],
                "deconv_activation": names[spec.decoder_activation],
            },
        },
    }
    return json.dumps(parameters, indent=2)


def _reject_unknown(given: Mapping[str, object], known: frozenset[str], prefix: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise ModelError(f"unknown key {', '.join(prefix + key for key in unknown)}")


def _stems(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    stems = parameters.get("instrument_list")
    if not isinstance(stems, list) or not stems or not all(isinstance(stem, str) and stem for stem in stems):
        raise ModelError(f"instrument_list must be a list of names, got {stems!r}")
    if len(set(stems)) < len(stems):
        raise ModelError(f"instrument_list names a stem twice: {', '.join(stems)}")
    return tuple(stems)


def _integer(parameters: Mapping[str, Any], key: str, default: int) -> int:
    value = parameters.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ModelError(f"{key} must be a positive whole number, got {value!r}")
    return value


def _check(spec: MaskModelSpec) -> None:
    """Raise `ModelError` for values that contradict each other."""
    if len(spec.n_filters) != 6 or not all(isinstance(width, int) and width > 0 for width in spec.n_filters):
        raise ModelError(f"model.params.conv_n_filters must be six positive numbers, got {list(spec.n_filters)}")
    if spec.n_channels != 2:
        raise ModelError(f"n_channels must be 2, got {spec.n_channels}")
    if spec.mask_extension not in ("zeros", "average"):
        raise ModelError(f"mask_extension must be zeros or average, got {spec.mask_extension!r}")
    for key, value in (("T", spec.n_frames), ("F", spec.n_bins)):
        if value % GRID:
            raise ModelError(f"{key} must be a multiple of {GRID}, got {value}")
    if spec.n_bins > spec.n_fft // 2 + 1:
        raise ModelError(f"F = {spec.n_bins} contradicts frame_length = {spec.n_fft}: at most {spec.n_fft // 2 + 1}")
    if spec.n_fft % spec.hop_length or spec.n_fft // spec.hop_length < 3:
        raise ModelError(
            f"frame_step = {spec.hop_length} contradicts frame_length = {spec.n_fft}: it must divide it at least thrice"
        )
    if spec.mask_exponent <= 0:
        raise ModelError(f"separation_exponent must be above 0, got {spec.mask_exponent}")

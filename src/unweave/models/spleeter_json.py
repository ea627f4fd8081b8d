"""Spleeter's JSON configurations, read into our own description of a model.

Everything the original accepts is accepted: keys of training are known but say nothing about a loaded model. What the
original ignores in silence, unknown keys and contradictions, is an error that names the key.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from unweave.errors import ModelError
from unweave.models.spec import Activation, Head, MaskExtension, MaskModelSpec
from unweave.models.validate import (
    MAX_EXPONENT,
    MAX_FFT,
    MAX_FRAMES,
    MAX_RATE,
    MAX_WIDTH,
    MIN_RATE,
    UNET_GRID,
    UNET_LEVELS,
    check_stems,
    not_finite,
    number,
    one_of,
    shown,
    truth,
    whole,
)

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
MAX_BYTES = 1 << 20  # of a configuration
NUMBERS = frozenset(
    {"learning_rate", "batch_size", "train_max_steps", "throttle_secs", "random_seed", "save_checkpoints_steps"}
    | {"save_summary_steps", "chunk_duration", "n_chunks_per_song", "separation_sampling_rate"}
)
TEXTS = frozenset({"mix_name", "train_csv", "validation_csv", "loss_type", "optimizer", "stft_backend"})
CACHES = frozenset({"training_cache", "validation_cache"})  # a folder, or null


def read_spleeter_json(path: Path) -> tuple[MaskModelSpec, str]:
    """The model that the file at ``path`` describes, and its ``model_dir``. Raises `ModelError`."""
    parameters = read_parameters(path)
    try:
        return parse_spleeter_json(parameters, name=path.stem)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def read_parameters(path: Path) -> Any:
    """The parsed JSON in the file at ``path``; no key is given twice. Raises `ModelError`."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise ModelError(f"{path} is too large for a configuration: more than {MAX_BYTES} bytes")
    try:
        # Windows' editors put a mark before UTF-8.
        return json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON: {error}") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a repeated key Python would take the last value in silence."""
    values = dict(pairs)
    if len(values) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ModelError(f"the key {shown(twice)} is given twice")
    return values


def parse_spleeter_json(parameters: Any, name: str) -> tuple[MaskModelSpec, str]:
    """As `read_spleeter_json`, from the parsed JSON."""
    if not isinstance(parameters, dict):
        raise ModelError("expected a JSON object with Spleeter's parameters")
    _reject_unknown(parameters, SEPARATION_KEYS | TRAINING_KEYS, "")
    key = not_finite(parameters)
    if key is not None:
        raise ModelError(f"{key} must be a finite number")
    _check_training(parameters)
    network = _object(parameters.get("model", {}), "model")
    _reject_unknown(network, frozenset({"type", "params"}), "model.")
    layers = _object(network.get("params", {}), "model.params")
    _reject_unknown(layers, NETWORK_KEYS, "model.params.")
    kind = one_of(network.get("type", "unet.unet"), tuple(HEADS), "model.type")
    for flag in ("use_elu", "output_mask_logit"):
        truth(layers.get(flag, False), f"model.params.{flag}")
    encoder, decoder = _activation(layers, "conv", "LeakyReLU"), _activation(layers, "deconv", "ReLU")
    check_stems(parameters.get("instrument_list"), "instrument_list")
    model_dir = parameters.get("model_dir", name)
    if not isinstance(model_dir, str) or not model_dir or "\0" in model_dir:
        raise ModelError(f"model_dir must be the name of a folder, got {shown(model_dir)}")
    spec = MaskModelSpec(
        name=name,
        weights=name,
        stems=tuple(parameters["instrument_list"]),
        head=HEADS[kind],
        encoder_activation="elu" if layers.get("use_elu") else encoder,
        decoder_activation="elu" if layers.get("use_elu") else decoder,
        n_filters=_filters(layers.get("conv_n_filters", [16, 32, 64, 128, 256, 512])),
        sample_rate=whole(parameters.get("sample_rate", 44100), "sample_rate", MIN_RATE, MAX_RATE),
        n_channels=whole(parameters.get("n_channels", 2), "n_channels", 1, MAX_FFT),
        n_fft=whole(parameters.get("frame_length", 4096), "frame_length", 1, MAX_FFT),
        hop_length=whole(parameters.get("frame_step", 1024), "frame_step", 1, MAX_FFT),
        n_bins=whole(parameters.get("F", 1024), "F", 1, MAX_FFT),
        n_frames=whole(parameters.get("T", 512), "T", 1, MAX_FRAMES),
        mask_exponent=number(parameters.get("separation_exponent", 2), "separation_exponent", MAX_EXPONENT),
        mask_extension=cast(
            MaskExtension,
            one_of(parameters.get("mask_extension", "zeros"), ("zeros", "average"), "mask_extension"),
        ),
        summary="from a configuration of Spleeter's",
    )
    _check(spec)
    return spec, model_dir


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
        raise ModelError(f"unknown key {', '.join(prefix + shown(key)[1:-1] for key in unknown)}")


def _object(value: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ModelError(f"{key} must be an object, got {shown(value)}")
    return value


def _activation(layers: Mapping[str, Any], kind: str, default: str) -> Activation:
    """The activation of the encoder (conv) or decoder (deconv); the original takes its default for any other word."""
    key = f"{kind}_activation"
    return ACTIVATIONS[one_of(layers.get(key, default), tuple(ACTIVATIONS), f"model.params.{key}")]


def _filters(widths: Any) -> tuple[int, ...]:
    key = "model.params.conv_n_filters"
    if not isinstance(widths, list) or len(widths) != UNET_LEVELS:
        raise ModelError(f"{key} must be six positive numbers, got {shown(widths)}")
    return tuple(whole(width, key, 1, MAX_WIDTH) for width in widths)


def _check_training(parameters: Mapping[str, Any]) -> None:
    """Raise `ModelError` for values of a wrong type under the keys that matter in training only."""
    for key in sorted(set(parameters) & (NUMBERS | TEXTS | CACHES)):
        value = parameters[key]
        if key in NUMBERS and value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ModelError(f"{key} must be a number, got {shown(value)}")
        if key in NUMBERS and isinstance(value, int) and abs(value) >= 1 << 63:
            raise ModelError(f"{key} must be a 64-bit number, got {shown(value)}")
        if key in TEXTS | CACHES and value is not None and not isinstance(value, str):
            raise ModelError(f"{key} must be text, got {shown(value)}")
    if "MWF" in parameters:
        truth(parameters["MWF"], "MWF")


def _check(spec: MaskModelSpec) -> None:
    """Raise `ModelError` for values that contradict each other."""
    if spec.n_channels != 2:
        raise ModelError(f"n_channels must be 2, got {spec.n_channels}")
    for key, value in (("T", spec.n_frames), ("F", spec.n_bins)):
        if value % UNET_GRID:
            raise ModelError(f"{key} must be a multiple of {UNET_GRID}, got {value}")
    if spec.n_bins > spec.n_fft // 2 + 1:
        raise ModelError(f"F = {spec.n_bins} contradicts frame_length = {spec.n_fft}: at most {spec.n_fft // 2 + 1}")
    if spec.n_fft % spec.hop_length or spec.n_fft // spec.hop_length < 3:
        raise ModelError(
            f"frame_step = {spec.hop_length} contradicts frame_length = {spec.n_fft}: "
            "it must divide it into at least three equal parts"
        )

"""Recognise a RoFormer by its weights, and read what they do not say from its configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from unweave.errors import CheckpointError
from unweave.families.configuration import Settings, count_numbers, has_settings, taken_for
from unweave.families.roformer.spec import N_CHANNELS, NUMBERS_PER_BIN, RoformerSpec
from unweave.models.checkpoints import Tensors

FIRST_BAND = "band_split.to_features.0.1.weight"
DEFAULT_RATE, DEFAULT_WINDOW = 44100, 2048  # Hz and samples, of the original's constructor
# Tables that some versions of the training code stored, and that follow from the configuration.
DERIVED = {"freq_indices", "freqs_per_band", "num_freqs_per_band", "num_bands_per_freq"}
# Parts of variants that are not computed here: (what their names contain, what they are called).
VARIANTS = (
    (re.compile(r"to_value_residual_mix|value_residual"), "value residuals"),
    (re.compile(r"hyper_conn|residual_fn|branch"), "hyper-connections"),
    (re.compile(r"(^|\.)segm\."), "HyperACE, a convolutional network behind the transformers"),
    (re.compile(r"pope|inv_freqs"), "PoPE, another encoding of positions"),
    (re.compile(r"linear_\d+_bias_\d+|to_qkv\.bias|to_out\.0\.bias"), "biases shared by all layers"),
    (re.compile(r"\.conv\.|depthwise|ff1|ff2"), "Conformer layers"),
    (re.compile(r"mamba|A_log|dt_proj"), "Mamba layers"),
    (re.compile(r"layers\.\d+\.2\."), "linear attention, a third transformer in each layer"),
)


def recognise(tensors: Tensors, configuration: Mapping[str, Any] | None, name: str) -> RoformerSpec | None:
    """The description of the RoFormer in ``tensors``, or None where they are of another family.

    Raises `CheckpointError` for a variant that cannot be computed, naming it, for weights that do not fit their
    configuration, and where the configuration is missing: hop, segments and the names of the stems are only there.
    """
    if FIRST_BAND not in tensors:
        return None
    names = [key for key in tensors if key not in DERIVED]
    for pattern, what in VARIANTS:
        found = next((key for key in names if pattern.search(key)), None)
        if found:
            raise CheckpointError(f"{name} is a RoFormer with {what} ({found}), which is not supported")
    if not has_settings(configuration):
        raise CheckpointError(
            f"{name} is a RoFormer, whose weights do not say its hop, segments and stems: its YAML file is needed"
        )
    settings = Settings(configuration, name)
    with taken_for("a RoFormer", name):
        spec = _spec(tensors, settings, name)
    _check_settings(spec, settings)
    _check(spec, tensors, names, name)
    return spec


def _spec(tensors: Tensors, settings: Settings, name: str) -> RoformerSpec:
    dim = tensors.shape(FIRST_BAND)[0]
    n_heads = tensors.shape("layers.0.0.layers.0.0.to_gates.weight")[0]
    inner = tensors.shape("layers.0.0.layers.0.0.to_qkv.weight")[0] // 3
    ff_width = tensors.shape("layers.0.0.layers.0.1.net.1.weight")[0]
    n_estimators = count_numbers(tensors, "mask_estimators.")
    stems, complement = settings.network_stems(n_estimators, "mask estimators")
    sizes = tuple(
        tensors.shape(f"band_split.to_features.{band}.1.weight")[-1] // NUMBERS_PER_BIN
        for band in range(count_numbers(tensors, "band_split.to_features."))
    )
    n_fft = settings.integer("model", "stft_n_fft", DEFAULT_WINDOW)
    if settings.integer("model", "stft_win_length", DEFAULT_WINDOW) != n_fft:
        raise CheckpointError(f"{name} has a window of another length than its transform, which is not supported")
    if not settings.flag("model", "stereo", default=True) or settings.integer("audio", "num_channels", 2) != N_CHANNELS:
        raise CheckpointError(f"{name} is a RoFormer for mono signals, which is not supported")
    hop = settings.integer("model", "stft_hop_length")
    # Signals have the rate of audio.sample_rate; the other one only lays out the bands, and may have been forgotten.
    bands_rate = settings.integer("model", "sample_rate", DEFAULT_RATE)
    sample_rate = settings.integer("audio", "sample_rate", bands_rate)
    is_bs = "final_norm.gamma" in tensors
    return RoformerSpec(
        name=name,
        kind="bs" if is_bs else "mel",
        stems=stems,
        complement=complement,
        dim=dim,
        depth=count_numbers(tensors, "layers."),
        time_depth=count_numbers(tensors, "layers.0.0.layers."),
        frequency_depth=count_numbers(tensors, "layers.0.1.layers."),
        n_heads=n_heads,
        head_width=inner // max(n_heads, 1),
        ff_width=ff_width,
        mask_widths=_mask_widths(tensors),
        **({"band_sizes": sizes} if is_bs else {"n_bands": len(sizes)}),
        bands_rate=0 if is_bs or bands_rate == sample_rate else bands_rate,
        skip_connections=settings.flag("model", "skip_connection", default=False),
        zero_dc=settings.flag("model", "zero_dc", default=True),
        sample_rate=sample_rate,
        n_fft=n_fft,
        hop_length=hop,
        segment_samples=settings.segment_samples(hop),
        n_overlaps=settings.integer("inference", "num_overlap", 2),
        normalised=settings.flag("inference", "normalize", default=False),
    )


def _mask_widths(tensors: Tensors) -> tuple[int, ...]:
    prefix = "mask_estimators.0.to_freqs.0.0."
    n_layers = count_numbers(tensors, prefix)
    keys = [f"{prefix}{2 * step}.weight" for step in range(n_layers - 1)]
    return tuple(tensors.shape(key)[0] for key in keys if key in tensors)


def _check(spec: RoformerSpec, tensors: Tensors, names: list[str], name: str) -> None:
    """Hold the weights against what the description needs, array by array."""
    try:
        bands = spec.bands
        expected = spec.shapes
    except (ValueError, IndexError) as error:
        raise CheckpointError(f"{name} has impossible bands: {error}") from error
    if sum(map(len, bands)) < spec.n_bins or bands[-1][-1] != spec.n_bins - 1:
        raise CheckpointError(f"{name} has bands for {bands[-1][-1] + 1} bins, its transform gives {spec.n_bins}")
    unknown = next((key for key in names if key not in expected), None)
    if unknown:
        raise CheckpointError(f"{name} is a RoFormer with an unknown part ({unknown:.120}), which is not supported")
    for key, shape in expected.items():
        if key not in tensors:
            raise CheckpointError(f"{name} is a RoFormer without {key}")
        if tensors.shape(key) != shape:
            raise CheckpointError(f"{name}: {key} has the shape {tensors.shape(key)}, expected {shape}")
    if spec.hop_length > spec.n_fft // 2 or spec.segment_samples <= spec.n_fft:
        raise CheckpointError(
            f"{name} has a hop of {spec.hop_length} and segments of {spec.segment_samples} samples, "
            f"which do not fit its frames of {spec.n_fft}"
        )
    if spec.n_overlaps > spec.segment_samples // 10:
        raise CheckpointError(f"{name} has {spec.n_overlaps} overlapping segments")


def _check_settings(spec: RoformerSpec, settings: Settings) -> None:
    """Refuse a configuration that was written for another network."""
    stated: dict[str, int] = {
        "dim": spec.dim,
        "depth": spec.depth,
        "num_stems": len(spec.stems),
        "heads": spec.n_heads,
        "dim_head": spec.head_width,
        "time_transformer_depth": spec.time_depth,
        "freq_transformer_depth": spec.frequency_depth,
    }
    if spec.kind == "mel":
        stated["num_bands"] = spec.n_bands
    for key, value in stated.items():
        if settings.get("model", key) is not None and settings.integer("model", key) != value:
            raise CheckpointError(
                f"the configuration of {spec.name} says {key} {settings.get('model', key)}, its weights have {value}"
            )

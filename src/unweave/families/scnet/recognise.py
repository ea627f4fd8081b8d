"""Tell an SCNet by the names and shapes of its weights, and what the weights do not say from its configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from unweave.errors import CheckpointError
from unweave.families.configuration import Settings, count_numbers, has_settings, taken_for
from unweave.families.scnet.spec import N_BANDS, N_CHANNELS, PARTS, ScnetSpec
from unweave.models.checkpoints import Tensors

FIRST_BAND = "encoder.0.SDlayer.convs.0.weight"
DEFAULT_WINDOW = 4096  # samples, of the original's constructor
# Parts of variants that are not computed here: (what their names contain, what they are called).
VARIANTS = (
    (re.compile(r"separation_net\.dp_modules\.\d+\.(time|freq)_layer"), "transformers in place of recurrent layers"),
    (re.compile(r"^first_conv\."), "a convolution before its bands (SCNet Tran)"),
    (re.compile(r"^sd_blocks\.|^dualpath_blocks\."), "the layers of the unofficial implementation"),
    (re.compile(r"mamba|A_log|dt_proj"), "Mamba layers"),
)
UNOFFICIAL = re.compile(r"^sd_blocks\.\d+\.sd_layers\.")


def recognise(tensors: Tensors, configuration: Mapping[str, Any] | None, name: str) -> ScnetSpec | None:
    """The description of the SCNet in ``tensors``, or None where they are of another family.

    Raises `CheckpointError` for a variant that cannot be computed, naming it, for weights that do not fit their
    configuration, and where the configuration is missing: bands, segments and the names of the stems are only there.
    """
    if FIRST_BAND not in tensors and not any(map(UNOFFICIAL.match, tensors)):
        return None
    for pattern, what in VARIANTS:
        found = next((key for key in tensors if pattern.search(key)), None)
        if found:
            raise CheckpointError(f"{name} is an SCNet with {what} ({found:.120}), which is not supported")
    if not has_settings(configuration):
        raise CheckpointError(
            f"{name} is an SCNet, whose weights do not say its bands, segments and stems: its YAML file is needed"
        )
    settings = Settings(configuration, name)
    with taken_for("an SCNet", name):
        spec = _spec(tensors, settings, name)
    settings.require("model", _stated(spec))
    _check(spec, tensors)
    return spec


def _spec(tensors: Tensors, settings: Settings, name: str) -> ScnetSpec:
    n_levels = count_numbers(tensors, "encoder.")
    dims = (PARTS, *(tensors.shape(f"encoder.{level}.globalconv.weight")[0] for level in range(n_levels)))
    n_outputs = tensors.shape(f"decoder.{n_levels - 1}.1.convtrs.0.weight")[1]
    stems, complement = settings.network_stems(n_outputs // PARTS, "stems")
    n_fft = settings.integer("model", "nfft", DEFAULT_WINDOW)
    if settings.integer("model", "win_size", DEFAULT_WINDOW) != n_fft:
        raise CheckpointError(f"{name} has a window of another length than its transform, which is not supported")
    channels = settings.integer("model", "audio_channels", settings.integer("audio", "num_channels", N_CHANNELS))
    if channels != N_CHANNELS:
        raise CheckpointError(f"{name} is an SCNet for {channels} channels, which is not supported")
    hop = settings.integer("model", "hop_size", 1024)
    first_lstm = "separation_net.dp_modules.0.lstm_layers.0.weight_hh_l0"
    return ScnetSpec(
        name=name,
        stems=stems,
        complement=complement,
        dims=dims,
        band_shares=settings.shares("model", "band_SR", (0.175, 0.392, 0.433)),
        band_strides=settings.integers("model", "band_stride", (1, 4, 16)),
        band_kernels=tuple(tensors.shape(f"encoder.0.SDlayer.convs.{band}.weight")[2] for band in range(N_BANDS)),
        conv_depths=tuple(count_numbers(tensors, f"encoder.0.conv_modules.{band}.layers.") for band in range(N_BANDS)),
        hidden_widths=tuple(_hidden_width(tensors, level, dims[level + 1], settings) for level in range(n_levels)),
        conv_kernel=_conv_kernel(tensors, settings),
        n_layers=count_numbers(tensors, "separation_net.dp_modules."),
        expand=tensors.shape(first_lstm)[1] // max(dims[-1], 1),
        masked="pos_embed_f" in tensors or any(key.startswith("mask_layer.") for key in tensors),
        sample_rate=settings.integer("audio", "sample_rate", 44100),
        n_fft=n_fft,
        hop_length=hop,
        stft_normalised=settings.flag("model", "normalized", default=True),
        segment_samples=settings.segment_samples(hop),
        n_overlaps=settings.integer("inference", "num_overlap", 4),
        normalised=settings.flag("inference", "normalize", default=False),
    )


def _first_module(tensors: Tensors, level: int) -> str | None:
    """The prefix of a residual module of this level; there may be none."""
    prefixes = (f"encoder.{level}.conv_modules.{band}.layers.0" for band in range(N_BANDS))
    return next((prefix for prefix in prefixes if f"{prefix}.3.weight" in tensors), None)


def _hidden_width(tensors: Tensors, level: int, channels: int, settings: Settings) -> int:
    module = _first_module(tensors, level)
    if module:
        return tensors.shape(f"{module}.3.weight")[0]
    return channels // settings.integer("model", "compress", 4)


def _conv_kernel(tensors: Tensors, settings: Settings) -> int:
    module = _first_module(tensors, 0)
    return tensors.shape(f"{module}.3.weight")[2] if module else settings.integer("model", "conv_kernel", 3)


def _stated(spec: ScnetSpec) -> dict[str, object]:
    return {
        "dims": list(spec.dims),
        "band_kernel": list(spec.band_kernels),
        "conv_depths": list(spec.conv_depths),
        "conv_kernel": spec.conv_kernel,
        "num_dplayer": spec.n_layers,
        "expand": spec.expand,
    }


def _check(spec: ScnetSpec, tensors: Tensors) -> None:
    """Hold the weights against what the description needs, array by array."""
    name = spec.name
    if spec.hop_length > spec.n_fft // 2 or spec.n_fft % 2 or spec.segment_samples <= spec.n_fft:
        raise CheckpointError(
            f"{name} has a hop of {spec.hop_length} and segments of {spec.segment_samples} samples, "
            f"which do not fit its frames of {spec.n_fft}"
        )
    if spec.n_overlaps > spec.segment_samples // 10:
        raise CheckpointError(f"{name} has {spec.n_overlaps} overlapping segments")
    if spec.n_layers % 2:
        raise CheckpointError(f"{name} has {spec.n_layers} recurrent layers; they come in pairs")
    if not spec.conv_kernel % 2:
        raise CheckpointError(f"{name} has residual modules over {spec.conv_kernel} frames, an odd number is needed")
    try:
        expected = spec.shapes
        assert spec.levels
    except ValueError as error:
        raise CheckpointError(f"{name} has impossible bands: {error}") from error
    unknown = next((key for key in tensors if key not in expected), None)
    if unknown:
        raise CheckpointError(f"{name} is an SCNet with an unknown part ({unknown:.120}), which is not supported")
    for key, shape in expected.items():
        if key not in tensors:
            raise CheckpointError(f"{name} is an SCNet without {key}")
        if tensors.shape(key) != shape:
            raise CheckpointError(f"{name}: {key} has the shape {tensors.shape(key)}, expected {shape}")

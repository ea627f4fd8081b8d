"""Tell an MDX23C by the names and shapes of its weights, and what the weights do not say from its configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from unweave.errors import CheckpointError
from unweave.families.configuration import Settings, count_numbers, has_settings, taken_for
from unweave.families.mdx23c.spec import N_CHANNELS, PARTS, Mdx23cSpec
from unweave.models.checkpoints import Tensors

FIRST_BLOCK = "encoder_blocks.0.tfc_tdf.blocks.0.tfc1.2.weight"
NORM = re.compile(r"InstanceNorm|BatchNorm|GroupNorm[1-9]\d{0,4}")
ACTIVATION = re.compile(r"gelu|relu|elu\d{1,4}(\.\d{1,8})?")


def recognise(tensors: Tensors, configuration: Mapping[str, Any] | None, name: str) -> Mdx23cSpec | None:
    """The description of the MDX23C in ``tensors``, or None where they are of another family.

    Raises `CheckpointError` for a variant that cannot be computed, naming it, for weights that do not fit their
    configuration, and where the configuration is missing: transform, segments and stems are only there.
    """
    if FIRST_BLOCK not in tensors or "first_conv.weight" not in tensors:
        return None
    if not has_settings(configuration):
        raise CheckpointError(
            f"{name} is an MDX23C, whose weights do not say its transform, segments and stems: its YAML file is needed"
        )
    with taken_for("an MDX23C", name):
        spec = _spec(tensors, Settings(configuration, name), name)
    _check(spec, tensors)
    return spec


def _spec(tensors: Tensors, settings: Settings, name: str) -> Mdx23cSpec:
    channels = settings.integer("audio", "num_channels", N_CHANNELS)
    if channels != N_CHANNELS:
        raise CheckpointError(f"{name} is an MDX23C for {channels} channels, which is not supported")
    n_inputs = tensors.shape("first_conv.weight")[1]
    n_subbands = settings.integer("model", "num_subbands", 4)
    if n_inputs == N_CHANNELS * n_subbands:
        raise CheckpointError(f"{name} is an MDX23C on Hartley transforms (STHT), which is not supported")
    n_outputs, remainder = divmod(tensors.shape("final_conv.2.weight")[0], PARTS * n_subbands)
    if remainder:
        raise CheckpointError(f"{name} has outputs that do not fit {n_subbands} subbands")
    stems, complement = settings.network_stems(n_outputs, "outputs")
    norm, activation = settings.get("model", "norm"), settings.get("model", "act")
    if norm is not None and (not isinstance(norm, str) or not NORM.fullmatch(norm)):
        raise CheckpointError(f"{name} has the norm {norm!r:.80}, which is not supported")
    if not isinstance(activation, str) or not ACTIVATION.fullmatch(activation):
        raise CheckpointError(f"{name} has the activation {activation!r:.80}, which is not supported")
    n_channels = tensors.shape("first_conv.weight")[0]
    down = tensors.shape("encoder_blocks.0.downscale.conv.2.weight")
    hop = settings.integer("audio", "hop_length", 1024)
    scale = settings.integers("model", "scale", (2, 2))
    spec = Mdx23cSpec(
        name=name,
        stems=stems,
        complement=complement,
        n_channels=n_channels,
        growth=down[0] - n_channels,
        n_scales=count_numbers(tensors, "encoder_blocks."),
        scale=(scale[0], scale[1]),
        n_blocks=count_numbers(tensors, "encoder_blocks.0.tfc_tdf.blocks."),
        bottleneck_factor=settings.integer("model", "bottleneck_factor", 4),
        n_subbands=n_subbands,
        norm=norm or "",
        activation=activation,
        sample_rate=settings.integer("audio", "sample_rate", 44100),
        n_fft=settings.integer("audio", "n_fft", 8192),
        hop_length=hop,
        n_bins=settings.integer("audio", "dim_f", 4096),
        segment_samples=settings.segment_samples(hop),
        n_overlaps=settings.integer("inference", "num_overlap", 4),
        normalised=settings.flag("inference", "normalize", default=False),
    )
    stated = {"num_channels": spec.n_channels, "growth": spec.growth, "num_scales": spec.n_scales}
    settings.require("model", {**stated, "num_blocks_per_scale": spec.n_blocks})
    return spec


def _check(spec: Mdx23cSpec, tensors: Tensors) -> None:
    """Hold the weights against what the description needs, array by array."""
    name = spec.name
    frames, rows = (factor**spec.n_scales for factor in spec.scale)
    if (
        spec.hop_length > spec.n_fft // 2
        or spec.n_fft % 2
        or spec.n_bins > spec.n_fft // 2 + 1
        or spec.segment_samples <= spec.n_fft
        or spec.segment_samples % spec.hop_length
    ):
        raise CheckpointError(
            f"{name} has {spec.n_bins} bins, a hop of {spec.hop_length} and segments of {spec.segment_samples} "
            f"samples, which do not fit its frames of {spec.n_fft}"
        )
    if spec.n_frames % frames or spec.n_bins % (spec.n_subbands * rows):
        raise CheckpointError(
            f"{name} has {spec.n_frames} frames and {spec.n_bins} bins, which cannot be made {frames} and {rows} times "
            f"fewer in {spec.n_subbands} subbands"
        )
    if spec.n_bins // (spec.n_subbands * rows) < spec.bottleneck_factor:
        raise CheckpointError(
            f"{name} leaves no bins to its lowest level: bottleneck_factor is {spec.bottleneck_factor}"
        )
    if spec.n_overlaps > spec.segment_samples // 10:
        raise CheckpointError(f"{name} has {spec.n_overlaps} overlapping segments")
    groups = int(spec.norm.removeprefix("GroupNorm")) if spec.norm.startswith("GroupNorm") else 1
    if spec.n_channels % groups or spec.growth % groups:
        raise CheckpointError(f"{name} has channels that do not fit {spec.norm}")
    expected = spec.shapes
    counters = {key for key in tensors if key.endswith(".num_batches_tracked") and spec.norm == "BatchNorm"}
    unknown = next((key for key in tensors if key not in expected and key not in counters), None)
    if unknown:
        raise CheckpointError(f"{name} is an MDX23C with an unknown part ({unknown:.120}), which is not supported")
    for key, shape in expected.items():
        if key not in tensors:
            raise CheckpointError(f"{name} is an MDX23C without {key}")
        if tensors.shape(key) != shape:
            raise CheckpointError(f"{name}: {key} has the shape {tensors.shape(key)}, expected {shape}")

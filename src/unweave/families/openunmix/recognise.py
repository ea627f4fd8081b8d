"""Tell Open-Unmix by the names and shapes of its weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from unweave.errors import CheckpointError
from unweave.families.complements import complement_of
from unweave.families.openunmix.spec import OpenUnmixSpec
from unweave.families.openunmix.targets import TARGETS, target_of
from unweave.models.checkpoints import Tensors

MARKS = ("fc1.weight", "fc3.weight", "input_mean", "output_scale", "lstm.weight_ih_l0")  # of a network
# What files hold beside the weights: counters of the norms, and the windows of transforms.
DERIVED = re.compile(r"(.*\.)?(num_batches_tracked|sample_rate|(stft|istft|transform|complexnorm)\..*)")
STEM = re.compile(r"[^\W_][\w -]{0,60}")
# n_fft and channels of what is published: (hop, sample rate).
PUBLISHED = {(4096, 2): (1024, 44100), (1024, 1): (512, 16000)}
MAX_ITERATIONS = 100


def recognise(tensors: Tensors, configuration: Mapping[str, Any] | None, name: str) -> OpenUnmixSpec | None:
    """The description of the Open-Unmix in ``tensors``, or None where they are of another family.

    ``tensors`` hold one network, or several under prefixes that end with the names of their stems, as `read_targets`
    and openunmix's ``Separator`` name them. ``configuration`` holds the settings of openunmix (``nfft``, ``nhop``,
    ``sample_rate``, ``niter``, ``target``), which the published networks do not need. Raises `CheckpointError` for what
    cannot be computed, and where hop or stem are not known.
    """
    prefixes = [key.removesuffix(MARKS[0]) for key in tensors if key == MARKS[0] or key.endswith(f".{MARKS[0]}")]
    prefixes = [prefix for prefix in prefixes if all(f"{prefix}{mark}" in tensors for mark in MARKS)]
    if not prefixes:
        return None
    settings = _settings(configuration)
    stems = [_stem(prefix, tensors, settings, name) for prefix in prefixes]
    if len(set(stems)) < len(stems):
        raise CheckpointError(f"{name} has two networks for one stem: {', '.join(stems)}")
    order = sorted(range(len(stems)), key=lambda k: TARGETS.index(stems[k]) if stems[k] in TARGETS else len(TARGETS))
    spec = _spec(tensors, prefixes[order[0]], settings, name)
    spec = replace(
        spec,
        stems=tuple(stems[k] for k in order),
        prefixes=tuple(prefixes[k] for k in order),
        complement=complement_of(stems[0]) if len(stems) == 1 else "",
        # A filter that shares the mixture among stems has nothing to share with one alone.
        n_iterations=spec.n_iterations if len(stems) > 1 else 0,
    )
    _check(spec, tensors, name)
    return spec


def _settings(configuration: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The settings; those of a stem's own training are in a part called args."""
    given = dict(configuration or {})
    inner = given.get("args")
    return {**inner, **given} if isinstance(inner, Mapping) else given


def _stem(prefix: str, tensors: Tensors, settings: Mapping[str, Any], name: str) -> str:
    stem = prefix.rstrip(".").rpartition(".")[2] or settings.get("target") or target_of(tensors.path)
    if stem is None:
        raise CheckpointError(
            f"{name} is an Open-Unmix for one stem, but not called after it: rename it to one of "
            f"{', '.join(f'{target}.pth' for target in TARGETS[:4])}, or give a JSON file with its target"
        )
    if not isinstance(stem, str) or not STEM.fullmatch(stem) or stem.endswith(" "):
        raise CheckpointError(f"{name} names a stem {stem!r:.80}")
    return stem


def _spec(tensors: Tensors, prefix: str, settings: Mapping[str, Any], name: str) -> OpenUnmixSpec:
    def sizes(key: str, n_axes: int) -> tuple[int, ...]:
        shape = tensors.shape(f"{prefix}{key}")
        if len(shape) != n_axes or not all(shape):
            raise CheckpointError(f"{name} looks like an Open-Unmix, but {prefix}{key} has the shape {shape}")
        return shape

    (n_bins,), (n_input_bins,) = sizes("output_scale", 1), sizes("input_mean", 1)
    n_channels, rest = divmod(sizes("fc3.weight", 2)[0], n_bins)
    if rest or n_channels not in (1, 2) or n_bins < 2 or n_input_bins > n_bins:
        raise CheckpointError(
            f"{name} is an Open-Unmix that makes {sizes('fc3.weight', 2)[0]} numbers of {n_input_bins} bins for "
            f"{n_bins}, expected one or two channels"
        )
    n_fft = 2 * (n_bins - 1)
    hop, rate = PUBLISHED.get((n_fft, n_channels), (None, 44100))
    for key, found in (("nfft", n_fft), ("nb_channels", n_channels)):
        if settings.get(key) not in (None, found):
            raise CheckpointError(f"the configuration of {name} says {key} {settings[key]!r:.40}, its weights {found}")
    return OpenUnmixSpec(
        name=name,
        stems=(),
        n_channels=n_channels,
        n_fft=n_fft,
        hop_length=_integer(settings, "nhop", hop, n_fft // 2, name),
        n_input_bins=n_input_bins,
        hidden_width=sizes("fc1.weight", 2)[0],
        recurrent_width=sizes("lstm.weight_ih_l0", 2)[0] // 4,
        n_recurrent=sum(key.startswith(f"{prefix}lstm.weight_ih_l") and key[-1].isdigit() for key in tensors),
        is_bidirectional=f"{prefix}lstm.weight_ih_l0_reverse" in tensors,
        n_iterations=_integer(settings, "niter", 1, MAX_ITERATIONS, name, lowest=0),
        sample_rate=_integer(settings, "sample_rate", _stored_rate(tensors, prefix) or rate, 1 << 20, name),
    )


def _integer(
    settings: Mapping[str, Any], key: str, default: int | None, highest: int, name: str, lowest: int = 1
) -> int:
    value = default if settings.get(key) is None else settings[key]
    if isinstance(value, float) and value.is_integer():  # openunmix writes rates as 44100.0
        value = int(value)
    if value is None:
        raise CheckpointError(f"{name} is an Open-Unmix of an unusual size: a JSON file with {key} is needed")
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise CheckpointError(
            f"the configuration of {name} needs a whole number from {lowest} to {highest} as {key}, got {value!r:.80}"
        )
    return value


def _stored_rate(tensors: Tensors, prefix: str) -> int | None:
    """The sample rate that older files hold as an array of one number."""
    key = f"{prefix}sample_rate"
    if key not in tensors or tensors.shape(key) not in ((), (1,)):
        return None
    value = float(np.asarray(tensors[key], np.float64).ravel()[0])
    return int(value) if value.is_integer() and value > 0 else None


def _check(spec: OpenUnmixSpec, tensors: Tensors, name: str) -> None:
    """Hold the weights of all networks against what the description needs, array by array."""
    expected = spec.shapes
    unknown = next((key for key in tensors if key not in expected and not DERIVED.fullmatch(key)), None)
    if unknown:
        raise CheckpointError(f"{name} is an Open-Unmix with an unknown part ({unknown:.120}), which is not supported")
    for key, shape in expected.items():
        if key not in tensors:
            raise CheckpointError(f"{name} is an Open-Unmix without {key}")
        if tensors.shape(key) != shape:
            raise CheckpointError(f"{name}: {key} has the shape {tensors.shape(key)}, expected {shape}")

"""Tell a RoFormer by the names and shapes of its weights, and what the weights do not say from its configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from unweave.errors import CheckpointError
from unweave.families.roformer.bands import BS_BANDS
from unweave.families.roformer.spec import N_CHANNELS, NUMBERS_PER_BIN, RoformerSpec
from unweave.models.checkpoints import Tensors

FIRST_BAND = "band_split.to_features.0.1.weight"
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
STEM = re.compile(r"[^\s./\\:*?\"<>|\x00-\x1f][^/\\:*?\"<>|\x00-\x1f]{0,60}")


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
    if configuration is None:
        raise CheckpointError(
            f"{name} is a RoFormer, whose weights do not say its hop, segments and stems: its YAML file is needed"
        )
    spec = _spec(tensors, _Settings(configuration, name), name)
    _check_settings(spec, _Settings(configuration, name))
    _check(spec, tensors, names, name)
    return spec


class _Settings:
    """Typed access to the sections of a configuration."""

    def __init__(self, configuration: Mapping[str, Any], name: str) -> None:
        self._sections = configuration
        self._name = name

    def get(self, section: str, key: str) -> Any:
        """The value, or None where it is not given."""
        found = self._sections.get(section)
        return found.get(key) if isinstance(found, Mapping) else None

    def integer(self, section: str, key: str, default: int | None = None) -> int:
        """A positive integer."""
        value = self.get(section, key)
        value = default if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 31:
            raise CheckpointError(
                f"the configuration of {self._name} needs a positive number as {section}.{key}, got {value!r:.80}"
            )
        return value

    def flag(self, section: str, key: str, default: bool) -> bool:
        """True or false."""
        value = self.get(section, key)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise CheckpointError(
                f"the configuration of {self._name} needs true or false as {section}.{key}, got {value!r:.80}"
            )
        return value

    def stems(self) -> tuple[str, ...]:
        """The names of the stems, fit to be names of files."""
        names = self.get("training", "instruments")
        if not isinstance(names, list | tuple) or not names:
            raise CheckpointError(f"the configuration of {self._name} does not name its stems (training.instruments)")
        for stem in names:
            if not isinstance(stem, str) or not STEM.fullmatch(stem) or stem.endswith((" ", ".")):
                raise CheckpointError(f"the configuration of {self._name} names a stem {stem!r:.80}")
        if len({stem.casefold() for stem in names}) < len(names):
            raise CheckpointError(f"the configuration of {self._name} names a stem twice")
        return tuple(names)


def _spec(tensors: Tensors, settings: _Settings, name: str) -> RoformerSpec:
    try:
        dim = tensors.shape(FIRST_BAND)[0]
        n_heads = tensors.shape("layers.0.0.layers.0.0.to_gates.weight")[0]
        inner = tensors.shape("layers.0.0.layers.0.0.to_qkv.weight")[0] // 3
        ff_width = tensors.shape("layers.0.0.layers.0.1.net.1.weight")[0]
    except (KeyError, IndexError) as error:
        raise CheckpointError(f"{name} looks like a RoFormer, but has no {error.args[0]}") from None
    n_estimators = _count(tensors, "mask_estimators.")
    stems, complement = _stems(settings, n_estimators, name)
    sizes = tuple(
        tensors.shape(f"band_split.to_features.{band}.1.weight")[-1] // NUMBERS_PER_BIN
        for band in range(_count(tensors, "band_split.to_features."))
    )
    n_fft = settings.integer("model", "stft_n_fft", 2048)
    if settings.integer("model", "stft_win_length", n_fft) != n_fft:
        raise CheckpointError(f"{name} has a window of another length than its transform, which is not supported")
    if (
        not settings.flag("model", "stereo", default=False)
        or settings.integer("audio", "num_channels", 2) != N_CHANNELS
    ):
        raise CheckpointError(f"{name} is a RoFormer for mono signals, which is not supported")
    hop = settings.integer("model", "stft_hop_length", 512)
    return RoformerSpec(
        name=name,
        kind="bs" if "final_norm.gamma" in tensors else "mel",
        stems=stems,
        complement=complement,
        dim=dim,
        depth=_count(tensors, "layers."),
        time_depth=_count(tensors, "layers.0.0.layers."),
        frequency_depth=_count(tensors, "layers.0.1.layers."),
        n_heads=n_heads,
        head_width=inner // max(n_heads, 1),
        ff_width=ff_width,
        mask_widths=_mask_widths(tensors),
        band_sizes=sizes if "final_norm.gamma" in tensors else BS_BANDS,
        n_bands=len(sizes),
        skip_connections=settings.flag("model", "skip_connection", default=False),
        zero_dc=settings.flag("model", "zero_dc", default=True),
        sample_rate=settings.integer("model", "sample_rate", settings.integer("audio", "sample_rate", 44100)),
        n_fft=n_fft,
        hop_length=hop,
        segment_samples=_segment(settings, hop),
        n_overlaps=settings.integer("inference", "num_overlap", 2),
        normalised=settings.flag("inference", "normalize", default=False),
    )


def _count(tensors: Tensors, prefix: str) -> int:
    """How many numbers follow ``prefix`` in the names."""
    found = {key[len(prefix) :].split(".", 1)[0] for key in tensors if key.startswith(prefix)}
    return len([number for number in found if number.isdigit()])


def _segment(settings: _Settings, hop: int) -> int:
    for section in ("inference", "audio"):
        if settings.get(section, "chunk_size") is not None:
            return settings.integer(section, "chunk_size")
    return hop * (settings.integer("inference", "dim_t") - 1)


def _mask_widths(tensors: Tensors) -> tuple[int, ...]:
    prefix = "mask_estimators.0.to_freqs.0.0."
    n_layers = _count(tensors, prefix)
    keys = [f"{prefix}{2 * step}.weight" for step in range(n_layers - 1)]
    return tuple(tensors.shape(key)[0] for key in keys if key in tensors)


def _stems(settings: _Settings, n_estimators: int, name: str) -> tuple[tuple[str, ...], str]:
    """The names of what the network gives, and of the complement of a single stem."""
    stems = settings.stems()
    target = settings.get("training", "target_instrument")
    if target is not None:
        if target not in stems or n_estimators != 1:
            raise CheckpointError(
                f"{name} has {n_estimators} mask estimators, its configuration names the target {target!r:.80} "
                f"among {', '.join(stems)}"
            )
        others = [stem for stem in stems if stem != target]
        usual = "instrumental" if target.casefold() == "vocals" else "other"
        return (target,), others[0] if len(others) == 1 else usual
    if len(stems) != n_estimators:
        raise CheckpointError(
            f"{name} has {n_estimators} mask estimators, its configuration names {len(stems)} stems: {', '.join(stems)}"
        )
    return stems, ""


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


def _check_settings(spec: RoformerSpec, settings: _Settings) -> None:
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

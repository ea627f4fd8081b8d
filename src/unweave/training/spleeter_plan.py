"""A training run as the original is told of it: its JSON with the keys for training, and its CSV lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unweave.errors import OptionError
from unweave.models.spec import MaskModelSpec
from unweave.models.spleeter_json import parse_spleeter_json, read_parameters
from unweave.training.plan import (
    AugmentationPlan,
    DataPlan,
    LoopPlan,
    LossName,
    ModelPlan,
    Plan,
    SourcePlan,
)

LOSSES: dict[str, LossName] = {"L1_mask": "magnitude_l1", "weighted_L1_mask": "magnitude_l1"}
OPTIMIZERS = {"Adam": "adam", "SGD": "sgd", "Adadelta": "adadelta"}
STEPS_PER_VALIDATION = 1000
# The original mixes each song's own stems, unchanged: its augmentation is commented out.
AS_RECORDED = AugmentationPlan(
    remix=0, absent=0, gain_db=(0, 0), pan=0, channel_swap=0, polarity=0, equaliser=0, compression=0, bandwidth=0,
    codec=0,
)  # fmt: skip


def spleeter_plan(configuration: Path, data: Path) -> Plan:
    """The plan of ``spleeter train -p configuration -d data``. Raises `OptionError` or `ModelError`.

    Lists are looked for where the original does, in the working folder, and beside the configuration; their paths start
    at ``data``. The mixture is the sum of the stems, not the file in the list. ``model_dir`` receives the result.
    """
    parameters = read_parameters(configuration)
    spec, model_dir = parse_spleeter_json(parameters, configuration.stem)
    loss = parameters.get("loss_type", "L1_mask")
    optimizer = parameters.get("optimizer", "Adam")
    if loss not in list(LOSSES):
        raise OptionError(f"loss_type must be one of {', '.join(LOSSES)}, got {loss!r}")
    if optimizer not in list(OPTIMIZERS):
        raise OptionError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
    rate = _number(parameters, "learning_rate", 1e-4)
    steps = _count(parameters, "train_max_steps", 100_000)
    return Plan(
        data=DataPlan(
            sources=(_list(parameters, "train_csv", configuration, data),),
            validation=(_list(parameters, "validation_csv", configuration, data),),
            cache=Path(_text(parameters, "training_cache", "training_cache")),
            segment_frames=spec.n_frames,
        ),
        output=Path(model_dir),
        model=_model(spec),
        augmentation=AS_RECORDED,
        loss={LOSSES[loss]: 1.0},
        training=LoopPlan(
            steps=steps,
            batch_size=_count(parameters, "batch_size", 4),
            learning_rate=rate,
            final_learning_rate=rate,
            warm_up_steps=0,
            optimizer=OPTIMIZERS[optimizer],  # type: ignore[arg-type]  # a key of a table of literals
            frozen_norms=True,
            seed=_count(parameters, "random_seed", 3, least=0),
            validate_every_steps=min(steps, _count(parameters, "save_checkpoints_steps", STEPS_PER_VALIDATION)),
        ),
    )


def _number(parameters: dict[str, Any], key: str, default: float) -> float:
    value = parameters.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise OptionError(f"{key} must be a number above 0, got {value!r}")
    return float(value)


def _count(parameters: dict[str, Any], key: str, default: int, least: int = 1) -> int:
    value = parameters.get(key)
    if value is None:
        return default
    is_whole = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value < 2**31
    if not is_whole or value != int(value):
        raise OptionError(f"{key} must be a whole number of at least {least}, got {value!r}")
    return int(value)


def _text(parameters: dict[str, Any], key: str, default: str) -> str:
    value = parameters.get(key)
    if value is not None and not isinstance(value, str):
        raise OptionError(f"{key} must be text, got {value!r}")
    return value or default


def _list(parameters: dict[str, Any], key: str, configuration: Path, data: Path) -> SourcePlan:
    name = parameters.get(key)
    if not isinstance(name, str):
        raise OptionError(f"{configuration} names no {key}")
    path = next((place for place in (Path(name), configuration.parent / name, data / name) if place.is_file()), None)
    if path is None:
        raise OptionError(f"the list {name} that {configuration} names as {key} does not exist")
    return SourcePlan(path, root=data)


def _model(spec: MaskModelSpec) -> ModelPlan:
    return ModelPlan(
        stems=spec.stems,
        network="unets",
        widths=spec.n_filters,
        head=spec.head,
        activation=spec.encoder_activation,
        decoder_activation=spec.decoder_activation,
        mask_exponent=spec.mask_exponent,
        mask_extension=spec.mask_extension,
        n_fft=spec.n_fft,
        hop_length=spec.hop_length,
        n_bins=spec.n_bins,
        n_frames=spec.n_frames,
        sample_rate=spec.sample_rate,
    )

"""The settings of a training run: a frozen tree, read from TOML and checked before anything is computed."""

from __future__ import annotations

import sys
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from unweave.errors import OptionError
from unweave.families.bands.layout import frequency_grid
from unweave.models.resolve import MODEL_FILES
from unweave.models.spec import Activation, MaskExtension, MaskModelSpec
from unweave.models.validate import check_spec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STRICT = ConfigDict(extra="forbid")
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Decibels = Annotated[float, Field(ge=-120, le=120, allow_inf_nan=False)]
LossName = Literal[
    "magnitude_l1", "spectrum_l1", "spectrum_l2", "spectrum_sdr", "waveform_l1", "si_sdr", "multi_resolution_stft"
]


@dataclass(frozen=True, config=STRICT)
class SourcePlan:
    """A source of music: a folder that contains a folder (or MUSDB18 file) for each track, or a CSV list."""

    path: Path
    licence: str = "unknown"  # of the files for which a list gives no licence
    weight: Positive = 1.0  # how often its stems are chosen, relative to their length
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)  # stem → patterns of file names
    root: Path | None = None  # what the paths in a list are relative to; by default, its folder


@dataclass(frozen=True, config=STRICT)
class DataPlan:
    """What is used for training, and what is held out for validation."""

    sources: tuple[SourcePlan, ...]
    held_out: tuple[str, ...] = ()  # patterns for the names of tracks that are never used for training
    validation: tuple[SourcePlan, ...] = ()  # sources that are only used for validation
    licences: tuple[str, ...] = ()  # if there are any, files under other licences are left out
    cache: Path = Path("cache")
    segment_frames: Count = 128
    validation_segments: Count = 32  # of 12 seconds each, spread over the held-out tracks


@dataclass(frozen=True, config=STRICT)
class AugmentationPlan:
    """How segments are changed before they are mixed. A share is the probability for each stem of a segment."""

    remix: Share = 0.7  # take the stems from different songs instead of the same one
    absent: Share = 0.1  # make the stem silent
    rare: dict[str, Share] = field(default_factory=dict)  # stem → how often it is silent, instead of `absent`
    taken: dict[str, Share] = field(
        default_factory=dict
    )  # stem → how often it is removed, as if by a model before this one
    level_db: Decibels | None = None  # the level of each stem, where it can be heard, before its gain
    layers: dict[str, Count] = field(default_factory=dict)  # stem → the most clips of it that are added up in a remix
    gain_db: tuple[Decibels, Decibels] = (-9.0, 6.0)
    pan: Share = 0.3
    channel_swap: Share = 0.5
    polarity: Share = 0.5
    speed: Share = 0.0  # pitch and tempo together, by resampling
    pitch: Share = 0.0  # without the tempo
    tempo: Share = 0.0  # without the pitch
    semitones: Annotated[float, Field(gt=0, le=24)] = 4.0  # the most that speed, pitch and tempo are changed by
    equaliser: Share = 0.2
    compression: Share = 0.1
    saturation: dict[str, Share] = field(default_factory=dict)  # stem → how often it is distorted
    bandwidth: Share = 0.05  # of the whole mixture and its stems
    codec: Share = 0.05  # likewise


@dataclass(frozen=True, config=STRICT)
class ModelPlan:
    """The network to train."""

    stems: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    network: Literal["unets", "bands"] = "bands"
    widths: tuple[Count, ...] | None = None  # filters on each level; the default depends on the network
    head: Literal["sigmoid", "softmax"] = "sigmoid"  # of U-Nets
    activation: Activation = "leaky_relu"  # of the encoder of U-Nets
    decoder_activation: Activation | None = None  # by default elu if `activation` is elu, otherwise relu
    attention_gates: bool = False
    residual_blocks: bool = False
    time_attention: bool = False  # of bands; added to a start without it, whose output is the same at first
    n_fft: Count = 4096
    hop_length: Count = 1024
    n_bins: Count | None = None
    n_frames: Count = 512  # the length of a segment when the trained model separates
    sample_rate: Count = 44100
    mask_exponent: Positive | None = None  # of the estimates in the masks; by default 1 for bands, 2 for U-Nets
    mask_extension: MaskExtension = "edge"  # the masks above the highest bin
    start: str | None = None  # a model to start from; its description replaces all of the above

    def to_spec(self, name: str) -> MaskModelSpec:
        """The model as the rest of unweave describes it.

        Raises `OptionError` for numbers that do not fit, and `ModelError`, as whoever loads it after training would.
        """
        is_bands = self.network == "bands"
        widths = self.widths or ((32, 64, 96, 128) if is_bands else (16, 32, 64, 128, 256, 512))
        n_bins = self.n_bins or (self.n_fft // 2 if is_bands else 1024)
        grid = frequency_grid(len(widths)) if is_bands else 64
        if n_bins % grid:
            raise OptionError(f"n_bins must be a multiple of {grid}, got {n_bins}")
        if not is_bands and len(widths) != 6:
            raise OptionError(f"U-Nets need six widths, got {len(widths)}")
        spec = MaskModelSpec(
            name=name,
            weights=name,
            stems=self.stems,
            network=self.network,
            head="softmax" if is_bands else self.head,
            encoder_activation=self.activation,
            decoder_activation=self.decoder_activation or ("elu" if self.activation == "elu" else "relu"),
            n_filters=widths,
            attention_gates=self.attention_gates,
            residual_blocks=self.residual_blocks,
            time_attention=self.time_attention,
            sample_rate=self.sample_rate,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            n_bins=n_bins,
            n_frames=self.n_frames,
            mask_exponent=self.mask_exponent or (1.0 if is_bands else 2.0),
            mask_extension=self.mask_extension,
        )
        check_spec(spec)
        return spec


@dataclass(frozen=True, config=STRICT)
class DistillationPlan:
    """A trained model whose estimates are learnt in addition to the true stems."""

    teacher: str  # must have the same stems and transform as the model that learns from it
    share: Share = 0.5  # weight of its estimates in the loss; the true stems get the rest


@dataclass(frozen=True, config=STRICT)
class LoopPlan:
    """How long and how fast to train, and what to keep."""

    steps: Count = 100_000
    batch_size: Count = 8  # segments per step and process
    learning_rate: Positive = 1e-3
    warm_up_steps: Annotated[int, Field(ge=0)] = 500
    final_learning_rate: NotNegative = 1e-5  # at the end of the cosine
    optimizer: Literal["adam", "adamw", "muon", "sgd", "adadelta"] = "adamw"
    weight_decay: NotNegative = 1e-2
    clip_norm: Positive = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    precision: Literal["no", "bf16", "fp16"] = "bf16"
    compile: bool = False  # with torch.compile: takes a minute; on the CPU it needs a C++ compiler
    frozen_norms: bool | None = None  # do not train batch norms, like Spleeter; by default only with a start
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    validate_every_steps: Count = 1000
    patience: Annotated[int, Field(ge=0)] = 0  # stop after this many validations without a better SDR; 0: never
    checkpoint_minutes: Positive = 10.0
    max_minutes: Positive | None = None  # save a checkpoint and stop after this long
    log_every_steps: Count = 20


@dataclass(frozen=True, config=STRICT)
class Plan:
    """A whole training run."""

    data: DataPlan
    output: Path = Path("trained")
    model: ModelPlan = field(default_factory=ModelPlan)
    augmentation: AugmentationPlan = field(default_factory=AugmentationPlan)
    loss: Annotated[dict[LossName, Positive], Field(min_length=1)] = field(
        default_factory=lambda: {"spectrum_l1": 1.0}
    )  # name → weight
    distillation: DistillationPlan | None = None
    training: LoopPlan = field(default_factory=LoopPlan)


def read_plan(path: Path) -> Plan:
    """The plan in the TOML file ``path``; relative paths start at its folder. Raises `OptionError`."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise OptionError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OptionError(f"{path} is not TOML: {error}") from error
    return parse_plan(values, path)


def parse_plan(values: object, origin: Path) -> Plan:
    """Like `read_plan`, from values that are already parsed; ``origin`` is the file they came from."""
    try:
        plan = TypeAdapter(Plan).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise OptionError(f"{origin}: {place}: {first['msg'].lower()}") from error
    return _resolved(plan, origin.parent)


def _resolved(plan: Plan, folder: Path) -> Plan:
    """The plan with its relative paths starting at ``folder``."""
    import dataclasses

    def sources(given: tuple[SourcePlan, ...]) -> tuple[SourcePlan, ...]:
        return tuple(
            dataclasses.replace(
                source,
                path=folder / source.path.expanduser(),
                root=None if source.root is None else folder / source.root.expanduser(),
            )
            for source in given
        )

    data = dataclasses.replace(
        plan.data,
        sources=sources(plan.data.sources),
        validation=sources(plan.data.validation),
        cache=folder / plan.data.cache.expanduser(),
    )

    def model_at(name: str) -> str:
        """The path of a model's file from ``folder``; any other name unchanged."""
        return str(folder / Path(name).expanduser()) if Path(name).suffix in MODEL_FILES else name

    model, distillation = plan.model, plan.distillation
    if model.start is not None:
        model = dataclasses.replace(model, start=model_at(model.start))
    if distillation is not None:
        distillation = dataclasses.replace(distillation, teacher=model_at(distillation.teacher))
    return dataclasses.replace(
        plan, data=data, model=model, distillation=distillation, output=folder / plan.output.expanduser()
    )

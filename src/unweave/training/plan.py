"""What a training run is told: one frozen tree of settings, read from TOML and checked before anything is computed."""

from __future__ import annotations

import sys
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from unweave.errors import OptionError
from unweave.models.bands import frequency_grid
from unweave.models.resolve import MODEL_FILES
from unweave.models.spec import Activation, MaskExtension, MaskModelSpec
from unweave.models.validate import check_stems

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STRICT = ConfigDict(extra="forbid")
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
LossName = Literal[
    "magnitude_l1", "spectrum_l1", "spectrum_l2", "spectrum_sdr", "waveform_l1", "si_sdr", "multi_resolution_stft"
]


@dataclass(frozen=True, config=STRICT)
class SourcePlan:
    """One place with music: a folder with a folder (or MUSDB18 file) per track, or a CSV list."""

    path: Path
    licence: str = "unknown"  # of the files whose licence a list does not give
    weight: Positive = 1.0  # how often its stems are drawn, relative to their length
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)  # stem → patterns of file names
    root: Path | None = None  # where the relative paths of a list start; its own folder if not given


@dataclass(frozen=True, config=STRICT)
class DataPlan:
    """What is trained on, and what is held out to validate with."""

    sources: tuple[SourcePlan, ...]
    held_out: tuple[str, ...] = ()  # patterns of track names that are never trained on
    validation: tuple[SourcePlan, ...] = ()  # sources only to validate with
    licences: tuple[str, ...] = ()  # if any are named, files under others are left out
    cache: Path = Path("cache")
    segment_frames: Count = 128
    validation_segments: Count = 32  # of 12 seconds each, spread over the held-out tracks


@dataclass(frozen=True, config=STRICT)
class AugmentationPlan:
    """How segments are changed before they are mixed; a share is the probability per stem and segment."""

    remix: Share = 0.7  # stems of different songs instead of one song's own
    absent: Share = 0.1  # a stem that is silent
    rare: dict[str, Share] = field(default_factory=dict)  # stem → how often it is silent, where not as often as others
    taken: dict[str, Share] = field(default_factory=dict)  # stem → how often another model has taken it away before
    level_db: float | None = None  # bring each stem to this level where it can be heard, before it gets its gain
    layers: dict[str, Count] = field(default_factory=dict)  # stem → at most so many of it are added up in a remix
    gain_db: tuple[float, float] = (-9.0, 6.0)
    pan: Share = 0.3
    channel_swap: Share = 0.5
    polarity: Share = 0.5
    speed: Share = 0.0  # resampled: pitch and tempo together
    pitch: Share = 0.0  # without the tempo
    tempo: Share = 0.0  # without the pitch
    semitones: Positive = 4.0  # the most that speed, pitch and tempo change
    equaliser: Share = 0.2
    compression: Share = 0.1
    saturation: dict[str, Share] = field(default_factory=dict)  # stem → how often it is driven into distortion
    bandwidth: Share = 0.05  # of the whole mixture and its stems
    codec: Share = 0.05  # likewise


@dataclass(frozen=True, config=STRICT)
class ModelPlan:
    """The network to train."""

    stems: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    network: Literal["unets", "bands"] = "bands"
    widths: tuple[int, ...] | None = None  # filters per level; the default fits the kind of network
    head: Literal["sigmoid", "softmax"] = "sigmoid"  # of U-Nets
    activation: Activation = "leaky_relu"  # of the encoder of U-Nets
    decoder_activation: Activation | None = None  # the default: elu with elu, relu with the others
    attention_gates: bool = False
    residual_blocks: bool = False
    time_attention: bool = False  # of bands; a start that has none is given it, and separates at first as before
    n_fft: Count = 4096
    hop_length: Count = 1024
    n_bins: Count | None = None
    n_frames: Count = 512  # of a segment when the trained model separates
    sample_rate: Count = 44100
    mask_exponent: Positive | None = None  # of the estimates in the masks; the default: 1 with bands, 2 with U-Nets
    mask_extension: MaskExtension = "edge"  # what masks are above the highest bin
    start: str | None = None  # a model whose weights to begin with; its description replaces all of the above

    def to_spec(self, name: str) -> MaskModelSpec:
        """The model as the rest of unweave describes it.

        Raises `OptionError` for numbers that do not fit, `ModelError` for stems that cannot be names of files: it could
        not be loaded after training.
        """
        check_stems(self.stems, "stems")
        is_bands = self.network == "bands"
        widths = self.widths or ((32, 64, 96, 128) if is_bands else (16, 32, 64, 128, 256, 512))
        n_bins = self.n_bins or (self.n_fft // 2 if is_bands else 1024)
        grid = frequency_grid(len(widths)) if is_bands else 64
        if n_bins % grid:
            raise OptionError(f"n_bins must be a multiple of {grid}, got {n_bins}")
        if not is_bands and len(widths) != 6:
            raise OptionError(f"U-Nets have six widths, got {len(widths)}")
        return MaskModelSpec(
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


@dataclass(frozen=True, config=STRICT)
class DistillationPlan:
    """A trained model whose estimates are learnt beside the truth."""

    teacher: str  # with the stems and the transform of the model that learns from it
    share: Share = 0.5  # of its estimates in the loss; the rest is the truth's


@dataclass(frozen=True, config=STRICT)
class LoopPlan:
    """How long, how fast, and what is kept."""

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
    compile: bool = False  # network and losses, by torch.compile: takes a minute, and needs a C++ compiler on the CPU
    frozen_norms: bool | None = (
        None  # batch norms as they are, as the original trains; the default: if there is a start
    )
    seed: int = 0
    validate_every_steps: Count = 1000
    patience: Annotated[int, Field(ge=0)] = 0  # validations without a better SDR before it stops; 0: never
    checkpoint_minutes: Positive = 10.0
    max_minutes: Positive | None = None  # stop, with a checkpoint, after this long
    log_every_steps: Count = 20


@dataclass(frozen=True, config=STRICT)
class Plan:
    """A whole training run."""

    data: DataPlan
    output: Path = Path("trained")
    model: ModelPlan = field(default_factory=ModelPlan)
    augmentation: AugmentationPlan = field(default_factory=AugmentationPlan)
    loss: dict[LossName, Positive] = field(default_factory=lambda: {"spectrum_l1": 1.0})  # name → weight
    distillation: DistillationPlan | None = None
    training: LoopPlan = field(default_factory=LoopPlan)


def read_plan(path: Path) -> Plan:
    """The plan in the TOML file ``path``, whose relative paths start at its folder. Raises `OptionError`."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise OptionError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OptionError(f"{path} is not TOML: {error}") from error
    return parse_plan(values, path)


def parse_plan(values: object, origin: Path) -> Plan:
    """As `read_plan`, from the parsed values; ``origin`` is the file that they came from."""
    try:
        plan = TypeAdapter(Plan).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise OptionError(f"{origin}: {place}: {first['msg'].lower()}") from error
    return _resolved(plan, origin.parent)


def _resolved(plan: Plan, folder: Path) -> Plan:
    """The plan with its relative paths made to start at ``folder``."""
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
        """A model's file from ``folder``; any other name as it is."""
        return str(folder / Path(name).expanduser()) if Path(name).suffix in MODEL_FILES else name

    model, distillation = plan.model, plan.distillation
    if model.start is not None:
        model = dataclasses.replace(model, start=model_at(model.start))
    if distillation is not None:
        distillation = dataclasses.replace(distillation, teacher=model_at(distillation.teacher))
    return dataclasses.replace(
        plan, data=data, model=model, distillation=distillation, output=folder / plan.output.expanduser()
    )

"""What is said about a checkpoint of Demucs: the arguments of the original's constructor, in one of these forms.

* the package that Demucs saves (``.th``): ``klass``, ``args`` and ``kwargs``;
* the same three as JSON in the metadata of a safetensors file (Demucs 4.1), where a fraction is a small object;
* the settings in the ``checkpoint.th`` of Demucs' trainer (`unweave.families.demucs.trainer`): ``args`` alone;
* a YAML file of "Music-Source-Separation-Training", with the sections ``training`` and one of the network's name, which
  comes beside the file and wins over what is in it.

Whatever is wrong in them is a `CheckpointError` that names it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Any, TypeVar

from unweave.errors import CheckpointError
from unweave.families.demucs.spec import HybridSpec
from unweave.families.demucs.trainer import trainer_arguments

Shape = tuple[int, ...]
Hybrid = TypeVar("Hybrid", bound=HybridSpec)

FOUR_STEMS = ("drums", "bass", "other", "vocals")
# Of the original's constructors.
DEFAULT_SAMPLE_RATE = 44100
DEFAULT_N_FFT = 4096
MAX_SEGMENT = 60  # seconds: attention over a minute takes seventy times as long as over the published 7.8 seconds


class Shapes:
    """The shapes of tensors, which may be lying in a file still."""

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self.names = set(tensors)
        self._tensors = tensors
        self._shape_of = getattr(tensors, "shape", None)

    def __getitem__(self, name: str) -> Shape:
        if name not in self.names:
            raise KeyError(name)
        return tuple(self._shape_of(name) if self._shape_of else self._tensors[name].shape)

    def count(self, prefix: str) -> int:
        """How many numbers follow ``prefix`` in names, counted from 0."""
        n = 0
        while any(name.startswith(f"{prefix}{n}.") for name in self.names):
            n += 1
        return n

    def require(self, expected: Mapping[str, Shape], kind: str) -> None:
        """Refuse weights that are not the expected ones to the last tensor. Raises `CheckpointError`."""
        if unknown := sorted(self.names - set(expected)):
            raise CheckpointError(f"the weights are of an {kind} of an unknown kind: they hold {unknown[0]}")
        for name, shape in expected.items():
            if name not in self.names:
                raise CheckpointError(f"the weights are of an {kind} of an unknown kind: they lack {name}")
            if self[name] != shape:
                raise CheckpointError(f"{name} has the shape {self[name]}, expected {shape}")


def class_name(configuration: Mapping[str, object]) -> str:
    """The name of the network's class, without its module; "" where it is not said."""
    return str(configuration.get("klass") or "").rpartition(".")[2]


def read_arguments(configuration: Mapping[str, object], kind: str, default_segment: int) -> dict[str, Any]:
    """What the constructor of a ``kind`` was called with, by name. Raises `CheckpointError`.

    ``default_segment`` is the constructor's own default, in seconds.
    """
    if "klass" in configuration:
        args, kwargs = _decoded(configuration.get("args") or ()), _decoded(configuration.get("kwargs") or {})
        if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping) or len(args) > 1:
            raise CheckpointError(f"the arguments in the checkpoint are not those of an {kind}")
        arguments: dict[str, Any] = {"segment": default_segment, **kwargs}
        if args:
            arguments["sources"] = args[0]
    else:
        arguments = trainer_arguments(configuration.get("args"), kind)
    section = configuration.get(kind.lower(), configuration.get("model"))
    if isinstance(section, Mapping):
        arguments.update(section)
    training = configuration.get("training")
    if isinstance(training, Mapping):
        names = {"instruments": "sources", "channels": "audio_channels"}
        for name in ("instruments", "channels", "samplerate", "segment"):
            if training.get(name) is not None:
                arguments[names.get(name, name)] = training[name]
    return arguments


def refuse_unknown(
    arguments: Mapping[str, Any], required: Mapping[str, object], known: Collection[str], kind: str
) -> None:
    """Refuse what cannot be computed: other values than the ``required`` ones, and what is not ``known``."""
    for name, value in arguments.items():
        if name in required:
            wanted = required[name]
            if value != wanted and (value or wanted):
                raise CheckpointError(f"an {kind} with {name}={value!r} is not supported, only with {wanted!r}")
        elif name not in (*known, "sources", "audio_channels", "samplerate", "segment") and value:
            raise CheckpointError(f"an {kind} with {name}={value!r} is not supported")


def n_fft_of(arguments: Mapping[str, Any], found: int | None) -> int:
    """The length of a frame: ``found`` from the weights, or what is told. Raises `CheckpointError`."""
    n_fft = found or arguments.get("nfft", DEFAULT_N_FFT)
    if not found and (not isinstance(n_fft, int) or not 16 <= n_fft <= 1 << 16 or n_fft & (n_fft - 1)):
        raise CheckpointError(f"the configuration says nfft={n_fft!r}; powers of two up to 65536 can be computed")
    if arguments.get("nfft") not in (None, n_fft):
        raise CheckpointError(f"the configuration says nfft={arguments['nfft']!r}, but the weights are of {n_fft}")
    return int(n_fft)


def sample_rate_of(arguments: Mapping[str, Any]) -> int:
    """Hz. Raises `CheckpointError`."""
    sample_rate = arguments.get("samplerate", DEFAULT_SAMPLE_RATE)
    if not isinstance(sample_rate, int) or isinstance(sample_rate, bool) or sample_rate <= 0:
        raise CheckpointError(f"the configuration says samplerate={sample_rate!r}")
    return sample_rate


def require_channels(arguments: Mapping[str, Any], audio_channels: int) -> None:
    """Refuse a configuration for other channels than the weights are for."""
    if arguments.get("audio_channels") not in (None, audio_channels):
        raise CheckpointError(f"the weights are for {audio_channels} channels, not {arguments['audio_channels']!r}")


def only_stereo(spec: Hybrid | None, kind: str) -> Hybrid | None:
    """``spec``, of which there may be none. Refuses a network that does not take the two channels which every mixture
    is brought to."""
    if spec is not None and spec.audio_channels != 2:
        told = "mono signals" if spec.audio_channels == 1 else f"{spec.audio_channels} channels"
        raise CheckpointError(f"the weights are of an {kind} for {told}, only stereo is supported")
    return spec


def stems_of(told: object, n_stems: int, published: Mapping[int, tuple[str, ...]]) -> tuple[str, ...]:
    """The names of the stems, or where none are told those of the published models. Raises `CheckpointError`."""
    if told is None:
        if n_stems not in published:
            raise CheckpointError(f"the weights give {n_stems} stems, whose names only a configuration can tell")
        return published[n_stems]
    if not isinstance(told, list | tuple) or not all(isinstance(name, str) and name for name in told):
        raise CheckpointError(f"the stems' names are not a list of names: {told!r}")
    if len(told) != n_stems or len(set(told)) != n_stems:
        raise CheckpointError(f"the weights give {n_stems} stems, but the configuration names {', '.join(told)}")
    return tuple(told)


def segment_samples(told: Any, sample_rate: int, n_fft: int) -> int:
    """The segment in samples, from seconds as a number, a fraction, or the JSON of a fraction."""
    try:
        if isinstance(told, Mapping):
            told = Fraction(told["numerator"], told["denominator"])
        elif isinstance(told, str):
            told = Fraction(told)
        n_samples = int(told * sample_rate)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise CheckpointError(f"the configuration says segment={told!r}, which is no number of seconds") from error
    if not 2 * n_fft <= n_samples <= MAX_SEGMENT * sample_rate:
        shortest = 2 * n_fft / sample_rate
        raise CheckpointError(
            f"the configuration says segment={told}; from {shortest:.2g} to {MAX_SEGMENT} seconds can be computed"
        )
    return n_samples


def _decoded(value: Any) -> Any:
    """Arguments as the metadata of a safetensors file hold them, or as they are."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise CheckpointError(f"the arguments in the checkpoint are no JSON: {error}") from error
    return value

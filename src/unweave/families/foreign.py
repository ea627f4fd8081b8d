"""Checkpoints that others made: which family they are of, and how they are run.

A family is a package of `unweave.families` that gives what `ForeignFamily` says. Adding one is a folder, and its name
in `FAMILIES`.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from unweave.engines.base import SegmentSeparator
from unweave.engines.choose import Runtime, require_runtime
from unweave.errors import CheckpointError, ModelError
from unweave.families import brought
from unweave.families.base import Loaded, LoadOptions
from unweave.families.configuration import naming
from unweave.families.descriptions import from_json, to_json
from unweave.families.segment_options import with_overlap, with_segment
from unweave.models.added import added_model_folder, check_name
from unweave.models.cache import graphs_folder
from unweave.models.catalogue import Entry, published
from unweave.models.checkpoints import Tensors
from unweave.models.files import file_crc32c, kept_network_folder, replace_folder, seal, staging_folder
from unweave.models.foreign import ARRAYS, read_arrays, write_foreign
from unweave.models.obtain import matching
from unweave.models.resolve import ResolvedModel
from unweave.models.spec import ForeignModelSpec, ModelSpec
from unweave.models.validate import LONGEST_SEGMENT, MAX_RATE, MIN_RATE, check_stems, whole

FAMILIES = ("bag", "htdemucs", "hdemucs", "roformer", "scnet", "mdx23c", "mdx", "openunmix", "vr")
# Part of the name of every network that is kept: raise it when a family builds another one from the same weights.
GRAPH_VERSION = 2


class Description(Protocol):
    """A family's own description of a model: a frozen dataclass of plain values and tuples."""

    @property
    def stems(self) -> tuple[str, ...]:
        """What the network gives, in its order."""
        ...

    @property
    def sample_rate(self) -> int:
        """Hz."""
        ...


class ForeignFamily(Protocol):
    """What the package of a family has."""

    Spec: type[Any]

    def recognise(self, tensors: Tensors, configuration: Mapping[str, Any] | None, name: str) -> Description | None:
        """What the arrays are, or None where they are another family's.

        Raises `CheckpointError` for a variant that cannot be computed, naming what is unknown.
        """
        ...

    def write_network(self, spec: Any, tensors: Tensors, folder: Path) -> None:
        """Write the network, as ONNX, into ``folder``."""
        ...

    def open_separator(self, spec: Any, folder: Path, runtime: Runtime) -> SegmentSeparator:
        """The network that was written into ``folder``, on the CPU, ready to separate segments into the stems of
        ``spec``."""
        ...

    def open_twin(self, spec: Any, tensors: Tensors, runtime: Runtime) -> SegmentSeparator:
        """The same in PyTorch, from the arrays of the checkpoint, on the device of ``runtime``."""
        ...


@dataclass(frozen=True)
class Added:
    """A model that was added, and what it came in."""

    spec: ForeignModelSpec
    n_files: int  # of weights
    n_bytes: int

    @property
    def family(self) -> str:
        """What to call its family: of a bag, that of its networks."""
        inner = json.loads(self.spec.settings).get("family")
        return f"a bag of {inner}" if inner else self.spec.family


def add_checkpoint(name: str, origin: Path | Sequence[Path], configuration: Path | None = None) -> ForeignModelSpec:
    """As `add`; returns what the model is."""
    return add(name, [origin] if isinstance(origin, Path) else origin, configuration).spec


def add(
    name: str,
    paths: Sequence[Path],
    configuration: Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Added:
    """Keep the checkpoint in ``paths`` (files, or a folder or an archive with all of them) under ``name``.

    ``configuration`` is the YAML or JSON file that belongs to it; otherwise one of the same name is looked for beside
    it, and ``settings`` is what it would say where there is none. A name of the list of models is only given to the
    model that the list means. Raises `CheckpointError` for a file that cannot be read safely or is of no known family,
    and `ModelError`.
    """
    check_name(name)
    entry = published().get(name)
    settings = settings or (entry.downloads[0].settings if entry else {})
    with brought.opened(paths, configuration, settings) as found, naming(found.name):
        if entry is not None:
            _check_listed(entry, found)
        family, description = _recognised(found.checkpoint.tensors, found.checkpoint.configuration, found.name)
        if entry is not None and family != entry.family:
            raise CheckpointError(f"{found.name} is of the family {family}, but {name} is of {entry.family}")
        complement = getattr(description, "complement", "")
        stems = (*description.stems, complement) if complement else tuple(description.stems)
        check_stems(stems, f"the stems of {found.name}")
        _check_signals(description, found.name)
        spec = ForeignModelSpec(name, name, stems, family, to_json(description), description.sample_rate, complement)
        target = added_model_folder(name)
        try:
            with staging_folder(target.parent) as staged:
                write_foreign(spec, found.checkpoint.tensors, staged, listed=entry.name if entry else "")
                seal(staged)
                replace_folder(staged, target)
        except OSError as error:
            raise ModelError(f"cannot keep {name} in {target}: {error.strerror or error}") from error
        return Added(spec, len(found.files), found.n_bytes)


def _check_listed(entry: Entry, found: brought.Brought) -> None:
    """Raise `ModelError` for files that are not those of ``entry``, whose name they are to have."""
    if matching(entry, found.files) is None:
        files = ", ".join(f"{file.name} ({file.size / 1e6:.0f} MB)" for file in entry.downloads[0].files)
        raise ModelError(
            f"{entry.name} is the name of a published model, which is in {files}; {found.name} is not that file: "
            "add it under another name"
        )


def _check_signals(description: Description, name: str) -> None:
    """Raise `ModelError` for a rate that no music has, and for segments that no memory holds."""
    whole(description.sample_rate, f"the sample rate of {name} in Hz", MIN_RATE, MAX_RATE)
    seconds = getattr(description, "segment_samples", 0) / description.sample_rate
    if seconds > LONGEST_SEGMENT:
        raise CheckpointError(
            f"{name} has segments of {seconds:.0f} s; those of up to {LONGEST_SEGMENT:g} s can be computed"
        )


def check(spec: ModelSpec, runtime: Runtime) -> None:
    """See `unweave.families.load.Family`."""
    require_runtime(runtime)


def load(resolved: ResolvedModel, options: LoadOptions) -> Loaded:
    """See `unweave.families.load.Family`."""
    spec = resolved.spec
    assert isinstance(spec, ForeignModelSpec)
    family = _family(spec.family)
    usual = _description(family, spec)
    description = with_segment(family, spec.name, usual, options)
    # What is kept of other lengths has another name; the usual one keeps its own.
    settings = spec.settings if description == usual else to_json(description)
    folder = resolved.locate(options.offline, options.on_download)
    runtime = options.runtime.on_best_device()
    n_parallel = 1
    if runtime.device == "cpu":
        network = _network_folder(family, spec.family, settings, description, folder)
        separator = family.open_separator(description, network, runtime)
        n_parallel = family.parallel(runtime) if hasattr(family, "parallel") else 1
        n_parallel = getattr(separator, "n_parallel", n_parallel)  # of a bag: that of its members
    else:
        separator = family.open_twin(description, read_arrays(folder), runtime)
    return Loaded(
        spec,
        with_overlap(separator, spec.name, options),
        n_parallel=n_parallel,
        sums_to_mixture=bool(spec.complement) and getattr(description, "sums_to_mixture", True),
    )


def _recognised(tensors: Tensors, configuration: Mapping[str, Any] | None, name: str) -> tuple[str, Description]:
    for family in FAMILIES:
        found = _family(family).recognise(tensors, configuration, name)
        if found is not None:
            return family, found
    if any("lora_" in key for key in tensors):
        raise CheckpointError(f"{name} holds what LoRA adds to the weights of another checkpoint: merge the two first")
    some = ", ".join(list(tensors)[:3])
    raise CheckpointError(f"{name} is of no family that unweave knows ({', '.join(FAMILIES)}); it begins with {some}")


def _family(name: str) -> ForeignFamily:
    if name not in FAMILIES:
        raise ModelError(f"this version of unweave knows no family {name!r}, but {', '.join(FAMILIES)}")
    return cast(ForeignFamily, importlib.import_module(f"unweave.families.{name}"))


def _description(family: ForeignFamily, spec: ForeignModelSpec) -> Any:
    try:
        return from_json(family.Spec, spec.settings)
    except TypeError as error:
        raise ModelError(f"{spec.name} was added by another version of unweave: add it again ({error})") from error


def _network_folder(family: ForeignFamily, name: str, settings: str, description: Any, weights: Path) -> Path:
    """The folder of the network of the family ``name``, made from the weights if it was not yet."""
    told = f"{name} {GRAPH_VERSION} {settings} {file_crc32c(weights / ARRAYS)}"
    folder = graphs_folder() / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    return kept_network_folder(folder, lambda staged: family.write_network(description, read_arrays(weights), staged))

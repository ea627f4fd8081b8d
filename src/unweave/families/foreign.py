"""Checkpoints that others made: which family they are of, and how they are run.

A family is a package of `unweave.families` that gives what `ForeignFamily` says. Adding one is a folder, and its name
in `FAMILIES`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from unweave.engines.base import SegmentSeparator
from unweave.engines.choose import Runtime
from unweave.errors import CheckpointError, ModelError
from unweave.families.base import Loaded, LoadOptions, require_plain_cpu
from unweave.families.segment_options import with_overlap, with_segment
from unweave.models.added import added_model_folder, check_name
from unweave.models.cache import graphs_folder
from unweave.models.checkpoints import Tensors, read_tensors
from unweave.models.files import file_crc32c, kept_network_folder, replace_folder, seal
from unweave.models.foreign import ARRAYS, read_arrays, write_foreign
from unweave.models.resolve import ResolvedModel
from unweave.models.spec import ForeignModelSpec, ModelSpec
from unweave.models.validate import check_stems

FAMILIES = ("htdemucs", "hdemucs", "roformer", "scnet", "mdx23c", "mdx", "openunmix", "vr")
# Part of the name of every network that is kept: raise it when a family builds another one from the same weights.
GRAPH_VERSION = 1


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
        """The network that was written into ``folder``, ready to separate segments into the stems of ``spec``."""
        ...


def add_checkpoint(name: str, path: Path, configuration: Path | None = None) -> ForeignModelSpec:
    """Keep the checkpoint at ``path`` under ``name``; returns what it is.

    ``configuration`` is the YAML or JSON file that belongs to it; one of the same name beside it is found. Raises
    `CheckpointError` for a file that cannot be read safely or is of no known family, and `ModelError`.
    """
    check_name(name)
    checkpoint = read_tensors(path, configuration)
    family, description = _recognised(checkpoint.tensors, checkpoint.configuration, path.name)
    complement = getattr(description, "complement", "")
    stems = (*description.stems, complement) if complement else tuple(description.stems)
    check_stems(stems, f"the stems of {path.name}")
    settings = _settings(description)
    spec = ForeignModelSpec(name, name, stems, family, settings, description.sample_rate, complement)
    target = added_model_folder(name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".adding-") as temporary:
            staged = Path(temporary) / "model"
            staged.mkdir()
            write_foreign(spec, checkpoint.tensors, staged)
            seal(staged)
            replace_folder(staged, target)
    except OSError as error:
        raise ModelError(f"cannot keep {name} in {target}: {error.strerror or error}") from error
    return spec


def check(spec: ModelSpec, runtime: Runtime) -> None:
    """See `unweave.families.load.Family`."""
    require_plain_cpu(spec.name, runtime)


def load(resolved: ResolvedModel, options: LoadOptions) -> Loaded:
    """See `unweave.families.load.Family`."""
    spec = resolved.spec
    assert isinstance(spec, ForeignModelSpec)
    family = _family(spec.family)
    published = _description(family, spec)
    description = with_segment(family, spec.name, published, options)
    # What is kept of other lengths has another name; the usual one keeps its own.
    settings = spec.settings if description == published else _settings(description)
    folder = resolved.locate(options.offline, options.on_download)
    network = _network_folder(family, spec.family, settings, description, folder)
    separator = with_overlap(family.open_separator(description, network, options.runtime), spec.name, options)
    n_parallel = family.parallel(options.runtime) if hasattr(family, "parallel") else 1
    return Loaded(
        spec,
        separator,
        n_parallel=n_parallel,
        sums_to_mixture=bool(spec.complement) and getattr(description, "compensation", 1) == 1,
    )


def _recognised(tensors: Tensors, configuration: Mapping[str, Any] | None, name: str) -> tuple[str, Description]:
    for family in FAMILIES:
        found = _family(family).recognise(tensors, configuration, name)
        if found is not None:
            return family, found
    some = ", ".join(list(tensors)[:3])
    raise CheckpointError(f"{name} is of no family that unweave knows ({', '.join(FAMILIES)}); it begins with {some}")


def _family(name: str) -> ForeignFamily:
    if name not in FAMILIES:
        raise ModelError(f"this version of unweave knows no family {name!r}, but {', '.join(FAMILIES)}")
    return cast(ForeignFamily, importlib.import_module(f"unweave.families.{name}"))


def _settings(description: Description) -> str:
    return json.dumps(dataclasses.asdict(cast(Any, description)), sort_keys=True)


def _description(family: ForeignFamily, spec: ForeignModelSpec) -> Any:
    try:
        return _description_of(family.Spec, json.loads(spec.settings))
    except TypeError as error:
        raise ModelError(f"{spec.name} was added by another version of unweave: add it again ({error})") from error


def _description_of(kind: type[Any], fields: Mapping[str, Any]) -> Any:
    """A family's description again, from its JSON, where tuples are lists."""

    def tuples(value: Any) -> Any:
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    return kind(**{field: tuples(value) for field, value in fields.items()})


def _network_folder(family: ForeignFamily, name: str, settings: str, description: Any, weights: Path) -> Path:
    """The folder of the network of the family ``name``, made from the weights if it was not yet."""
    told = f"{name} {GRAPH_VERSION} {settings} {file_crc32c(weights / ARRAYS)}"
    folder = graphs_folder() / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    return kept_network_folder(folder, lambda staged: family.write_network(description, read_arrays(weights), staged))

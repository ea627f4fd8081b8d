"""What `unweave.families.foreign` asks of a family."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unweave.engines.choose import Runtime
from unweave.errors import CheckpointError
from unweave.families.bag.members import BAG, MEMBERS
from unweave.families.bag.separator import BagSeparator
from unweave.families.bag.shares import Bag
from unweave.families.bag.spec import BagSpec
from unweave.families.descriptions import from_json, to_json
from unweave.models.checkpoints import Tensors

FAMILIES = ("htdemucs", "hdemucs")  # that networks of a bag can be of


def recognise(tensors: Tensors, configuration: Mapping[str, Any] | None, name: str) -> BagSpec | None:
    """The description of the bag that `read_members` read, or None for anything else.

    Raises `CheckpointError` where its networks do not go together.
    """
    bag = (configuration or {}).get(BAG)
    if not isinstance(bag, Bag):
        return None
    assert configuration is not None
    found = [
        _recognised(_part(tensors, k), _told(bag, settings), f"{name} ({member})")
        for k, (member, settings) in enumerate(zip(bag.members, configuration[MEMBERS], strict=True))
    ]
    (family, first), *others = found
    for member, (kind, other) in zip(bag.members[1:], others, strict=True):
        for what, one, two in (
            ("family", family, kind),
            ("stems", first.stems, other.stems),
            ("sample rate", first.sample_rate, other.sample_rate),
            ("segments", first.segment_samples, other.segment_samples),
        ):
            if one != two:
                raise CheckpointError(
                    f"the networks of {name} do not go together: {bag.members[0]:.80} and {member:.80} have "
                    f"different {what} ({one} and {two})"
                )
    shares = tuple(map(tuple, bag.shares(len(first.stems))))
    members = tuple(to_json(description) for _, description in found)
    return BagSpec(family, members, shares, tuple(first.stems), first.sample_rate)


def with_segment(spec: BagSpec, n_samples: int) -> BagSpec:
    """See `unweave.families.segment_options`: what all of its networks can take."""
    family = _family(spec.family)
    members = (family.with_segment(from_json(family.Spec, member), n_samples) for member in spec.members)
    return dataclasses.replace(spec, members=tuple(map(to_json, members)))


def write_network(spec: BagSpec, tensors: Tensors, folder: Path) -> None:
    """Write each network into a folder of its own in ``folder``."""
    family = _family(spec.family)
    for k, member in enumerate(spec.members):
        (folder / str(k)).mkdir()
        family.write_network(from_json(family.Spec, member), _part(tensors, k), folder / str(k))


def open_separator(spec: BagSpec, folder: Path, runtime: Runtime) -> BagSeparator:
    """The networks that `write_network` left in ``folder``, ready to separate segments."""
    family = _family(spec.family)
    members = [
        family.open_separator(from_json(family.Spec, member), folder / str(k), runtime)
        for k, member in enumerate(spec.members)
    ]
    n_parallel = family.parallel(runtime) if hasattr(family, "parallel") else 1
    return BagSeparator(members, spec.shares, n_parallel)


def open_twin(spec: BagSpec, tensors: Tensors, runtime: Runtime) -> BagSeparator:
    """See `unweave.families.foreign.ForeignFamily`."""
    family = _family(spec.family)
    members = [
        family.open_twin(from_json(family.Spec, member), _part(tensors, k), runtime)
        for k, member in enumerate(spec.members)
    ]
    return BagSeparator(members, spec.shares)


def _part(tensors: Tensors, k: int) -> Tensors:
    prefix = f"{k}."
    return tensors.renamed({name: name.removeprefix(prefix) for name in tensors if name.startswith(prefix)})


def _told(bag: Bag, settings: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What a network is told about itself: its own settings, and the bag's segment as its YAML file says it."""
    if bag.segment is None:
        return settings
    return {**(settings or {}), "models": list(bag.members), "segment": bag.segment}


def _recognised(tensors: Tensors, configuration: Mapping[str, Any] | None, name: str) -> tuple[str, Any]:
    for family in FAMILIES:
        found = _family(family).recognise(tensors, configuration, name)
        if found is not None:
            return family, found
    raise CheckpointError(f"{name} is no network of Demucs that unweave knows ({', '.join(FAMILIES)})")


def _family(name: str) -> Any:
    return importlib.import_module(f"unweave.families.{name}")

"""Checkpoints that others made, as they are kept: their arrays, and what their family said they are.

The arrays lie in a safetensors file, whatever they came in: a pickle is read once and never again.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unweave.errors import CheckpointError, ModelError
from unweave.models.catalogue import Entry, published
from unweave.models.spec import ForeignModelSpec
from unweave.models.validate import check_stems

if TYPE_CHECKING:
    from unweave.models.checkpoints import Tensors

DESCRIPTION = "foreign.json"
ARRAYS = "arrays.safetensors"
FORMAT_VERSION = 1


def write_foreign(spec: ForeignModelSpec, tensors: Tensors, folder: Path, listed: str = "") -> None:
    """Write what `read_foreign` and `read_arrays` read; one array at a time is in memory. Raises `CheckpointError`.

    ``listed`` is the name of the model in the list of models, where it is one of them.
    """
    from unweave.models.checkpoints import write_safetensors

    for name in tensors:
        array = tensors[name]
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(f"the array {name} holds values that are not numbers")
    write_safetensors(tensors, folder / ARRAYS)
    fields = {
        "format": FORMAT_VERSION,
        "family": spec.family,
        "stems": spec.stems,
        "complement": spec.complement,
        "sample_rate": spec.sample_rate,
        "settings": json.loads(spec.settings),
    }
    if listed:
        fields["listed"] = listed
    (folder / DESCRIPTION).write_text(json.dumps(fields, indent=1), encoding="utf-8")


def read_foreign(folder: Path, name: str) -> ForeignModelSpec:
    """The model that was kept in ``folder`` under ``name``. Raises `ModelError`."""
    path = folder / DESCRIPTION
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        version = fields["format"]
        if version != FORMAT_VERSION:
            raise ModelError(f"{path} is of format {version}, which this version of unweave does not know")
        stems = tuple(fields["stems"])
        check_stems(stems, "stems")
        entry = published().get(str(fields.get("listed")))
        spec = ForeignModelSpec(
            name=name,
            weights=name,
            stems=stems,
            family=str(fields["family"]),
            settings=json.dumps(fields["settings"], sort_keys=True),
            sample_rate=int(fields["sample_rate"]),
            complement=str(fields["complement"]),
            summary=f"a checkpoint of the family {fields['family']}",
        )
        return with_facts(spec, entry) if entry else spec
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{path} is damaged: add the model again ({error})") from error


def not_here(entry: Entry) -> ForeignModelSpec:
    """A model of the list as far as it is known before its file was read."""
    return with_facts(ForeignModelSpec(entry.name, entry.name, entry.stems, entry.family, settings=""), entry)


def with_facts(spec: ForeignModelSpec, entry: Entry) -> ForeignModelSpec:
    """``spec`` with what the list of models says about it."""
    return replace(
        spec,
        licence=entry.licence.name,
        notes=entry.licence.terms,
        needs_consent=entry.needs_consent,
        summary=entry.summary,
    )


def read_arrays(folder: Path) -> Tensors:
    """The arrays of the model kept in ``folder``, read when they are asked for. Raises `CheckpointError`."""
    from unweave.models.checkpoints import read_tensors  # the readers of all formats: only to build a network

    return read_tensors(folder / ARRAYS, keeps_prefixes=True).tensors

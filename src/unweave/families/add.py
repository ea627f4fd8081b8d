"""Keep models that ``unweave train`` or Spleeter wrote under a name of the user's own."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from unweave.errors import ModelError
from unweave.families.unet.path import load_unets, network_path
from unweave.models.added import CARD, CONFIGURATION, GRAPH, MAX_BYTES, WEIGHTS, added_model_folder, check_name
from unweave.models.archives import ArchiveError, copy_limited, damage_told, members
from unweave.models.catalogue import published
from unweave.models.catalogue.official import specs
from unweave.models.checkpoint_folder import has_checkpoint
from unweave.models.export import read_exported_spec
from unweave.models.files import SEAL, replace_folder, seal, staging_folder
from unweave.models.spec import MaskModelSpec
from unweave.models.spleeter_json import read_spleeter_json, write_spleeter_json


def add_model(name: str, origin: Path, configuration: Path | None = None) -> MaskModelSpec:
    """Keep the model in ``origin`` (a folder, .tar.gz or .zip) under ``name``, and return its description.

    ``origin`` contains a folder that ``unweave train`` wrote, or a TensorFlow checkpoint. ``configuration`` is the
    checkpoint's JSON in Spleeter's format. Without it, the only JSON file inside ``origin`` is used, or the official
    one if the checkpoint has an official name. Everything is read and every checksum verified before anything is kept.
    Then the files are sealed, so that damage is noticed later. Raises `ModelError` or `CheckpointError`.
    """
    check_name(name)
    if name in published():
        raise ModelError(f"{name!r} is the name of a published model; choose another")
    if not origin.exists():
        raise ModelError(f"{origin} does not exist")
    target = added_model_folder(name)
    try:
        with staging_folder(target.parent) as staged:
            _copy(origin, staged)
            if (staged / GRAPH).is_file():
                spec = _checked_trained(staged)
            else:
                spec = _converted_checkpoint(name, staged, origin, configuration)
            seal(staged)
            replace_folder(staged, target)
    except ArchiveError as error:
        raise ModelError(f"{origin} cannot be used as a folder, .tar.gz or .zip: {error}") from error
    except OSError as error:
        raise ModelError(f"cannot save {name} in {target}: {error.strerror or error}") from error
    return dataclasses.replace(spec, name=name, weights=name)


def _checked_trained(staged: Path) -> MaskModelSpec:
    spec = read_exported_spec(staged / GRAPH)
    if (staged / WEIGHTS).is_file():
        if read_exported_spec(staged / WEIGHTS) != spec:
            raise ModelError(f"{GRAPH} and {WEIGHTS} describe different models")
        if spec.is_classic:
            load_unets(spec, staged / WEIGHTS)  # raises for arrays that do not fit
    return spec


def _converted_checkpoint(name: str, staged: Path, origin: Path, configuration: Path | None) -> MaskModelSpec:
    """Describe the checkpoint in ``staged``, and convert it, which verifies it."""
    spec = _configuration(staged, origin, configuration)
    spec = dataclasses.replace(spec, name=name, weights=name)
    (staged / CONFIGURATION).write_text(write_spleeter_json(spec, name), encoding="utf-8")
    network_path(spec, staged)
    return spec


def _copy(origin: Path, staged: Path) -> None:
    """Copy the files of a model, flat, so that no path in an archive can lead elsewhere."""
    if origin.is_dir():
        for path in origin.iterdir():
            if path.is_file() and _is_wanted(path.name):
                shutil.copyfile(path, staged / path.name)
    else:
        with damage_told():
            for member in members(origin, MAX_BYTES):
                if _is_wanted(member.name):
                    if (staged / member.name).exists():
                        raise ModelError(f"{origin} contains several files called {member.name}")
                    with member.open() as stream, (staged / member.name).open("wb") as out:
                        copy_limited(stream, out, member.size)
    if not has_checkpoint(staged) and not (staged / GRAPH).is_file():
        raise ModelError(
            f"{origin} contains neither a {GRAPH} nor a TensorFlow checkpoint (an .index and a .data file)"
        )


def _is_wanted(name: str) -> bool:
    is_data = ".data-" in name
    known = name in ("checkpoint", GRAPH, WEIGHTS, CARD) or name.endswith((".index", ".json")) or is_data
    return known and not name.startswith(".") and name != SEAL


def _configuration(staged: Path, origin: Path, configuration: Path | None) -> MaskModelSpec:
    if configuration is not None:
        return read_spleeter_json(configuration)[0]
    found = sorted(staged.glob("*.json"))
    if len(found) == 1:
        return read_spleeter_json(found[0])[0]
    if len(found) > 1:
        raise ModelError(f"{origin} contains several JSON files ({', '.join(p.name for p in found)}); name one")
    official = specs().get(f"spleeter:{origin.name.split('.')[0]}")
    if isinstance(official, MaskModelSpec):
        return official
    raise ModelError(f"{origin} contains no JSON configuration; name one with --config")

"""The YAML or JSON that comes with a checkpoint, as plain data.

RoFormers, SCNet and MDX23C come with YAML written from ``ml_collections``, where tuples have the tag
``!!python/tuple``. Their own tools use a loader that runs code named by tags; here that one tag means a tuple, and
every other tag is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unweave.errors import CheckpointError
from unweave.models.checkpoints.tensors import shown
from unweave.models.checkpoints.values import NotPlain, plain

MAX_BYTES = 1 << 18  # published ones have 1 to 10 kB
SUFFIXES = (".yaml", ".yml", ".json")


def read_configuration(path: Path) -> Mapping[str, object]:
    """The settings in a ``.yaml``, ``.yml`` or ``.json`` file. Raises `CheckpointError`."""
    try:
        if not path.is_file():
            raise CheckpointError(f"there is no configuration {path}")
        if path.stat().st_size > MAX_BYTES:
            raise CheckpointError(f"{path} is too large for a configuration")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is not a text file in UTF-8") from error
    try:
        value = plain(_json(text) if path.suffix.lower() == ".json" else _yaml(text))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except RecursionError as error:
        raise CheckpointError(f"{path}: the settings are nested too deep") from error
    except NotPlain as error:
        raise CheckpointError(f"{path}: it holds values that are neither numbers nor text") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not a configuration: expected names with values")
    return {str(key): item for key, item in value.items()}


def configuration_beside(path: Path) -> Path | None:
    """The configuration with the name of the checkpoint ``path``: ``a.yaml``, ``a.ckpt.yaml`` or ``config_a.yaml``."""
    names = [path.with_suffix(suffix) for suffix in SUFFIXES]
    names += [path.with_name(f"{path.name}{suffix}") for suffix in SUFFIXES]
    names += [path.with_name(f"config_{path.stem}{suffix}") for suffix in SUFFIXES]
    return next((name for name in names if name.is_file() and name != path), None)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"it is not JSON: {shown(str(error), 120)}") from error


def _yaml(text: str) -> object:
    import yaml

    try:
        return yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise CheckpointError(f"{place}{shown(problem, 120)}") from error
    except (ValueError, TypeError, AttributeError, OverflowError) as error:  # dates that are none, keys that are lists
        raise CheckpointError(f"it is not a configuration: {shown(str(error), 120)}") from error


def _loader() -> Any:
    """PyYAML's safe loader with tuples, without merges (which can unfold without end), and with 1e-5 as a number."""
    import re

    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        def flatten_mapping(self, node: Any) -> None:
            if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
                raise yaml.constructor.ConstructorError(
                    None, None, "merged mappings (<<) are not supported", node.start_mark
                )

    Loader.add_constructor(
        "tag:yaml.org,2002:python/tuple", lambda loader, node: tuple(loader.construct_sequence(node, deep=True))
    )
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789"))
    return Loader

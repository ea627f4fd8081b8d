"""Spleeter's ``spleeter.utils.configuration``: the parameters of a model as a dictionary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unweave.compat.spleeter import SpleeterError
from unweave.models.catalogue.official import specs
from unweave.models.spec import MaskModelSpec, ModelSpec
from unweave.models.spleeter_json import read_parameters, write_spleeter_json

PREFIX = "spleeter:"


def load_configuration(descriptor: str) -> dict[str, Any]:
    """What a JSON file says, or what is known of a model of Spleeter's; written to a JSON, it is that model again.

    Of training nothing is known. Raises `SpleeterError` where there is no such file or model.
    """
    if not isinstance(descriptor, str):
        raise SpleeterError(f"expected spleeter: and a name, or the path of a JSON file, got {descriptor!r}")
    if not descriptor.startswith(PREFIX):
        return dict(read_parameters(Path(descriptor)))
    spec = specs().get(descriptor)
    if spec is None:
        names = ", ".join(name for name in specs() if name.startswith(PREFIX))
        raise SpleeterError(f"there is no model called {descriptor!r}; Spleeter's models are {names}")
    return parameters_of(spec)


def parameters_of(spec: ModelSpec) -> dict[str, Any]:
    """The parameters of ``spec`` by Spleeter's names: all of them, or the two that every model has."""
    if isinstance(spec, MaskModelSpec) and spec.is_classic:
        return dict(json.loads(write_spleeter_json(spec, spec.weights)))
    return {"instrument_list": list(spec.stems), "sample_rate": spec.sample_rate}

"""From a model's name to a model that is ready to separate."""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from unweave.engines.choose import Runtime
from unweave.families.base import Loaded, LoadOptions
from unweave.families.segment_options import check_segment_options
from unweave.models.consent import require_consent
from unweave.models.resolve import ResolvedModel, resolve
from unweave.models.spec import ForeignModelSpec, MaskModelSpec, ModelSpec, WaveformModelSpec

# A family is a module with `load`, imported when one of its models is asked for; a new one is one line here.
FAMILIES: dict[type, str] = {
    MaskModelSpec: "unweave.families.masking",
    WaveformModelSpec: "unweave.families.htdemucs.published",
    ForeignModelSpec: "unweave.families.foreign",
}


class Family(Protocol):
    """What the module of a family has."""

    def check(self, spec: ModelSpec, runtime: Runtime) -> None:
        """Raise `OptionError` for a device or a precision that ``spec`` cannot run in: before anything is fetched."""
        ...

    def load(self, resolved: ResolvedModel, options: LoadOptions) -> Loaded:
        """The model, its weights fetched and verified, its networks ready on the device."""
        ...


def load(model: str, options: LoadOptions) -> Loaded:
    """The model called ``model``, ready to separate.

    Raises `ModelError` where it cannot be had, `ConsentError` where its licence was not accepted, and `OptionError`
    for a device or a precision that it cannot run in.
    """
    resolved = resolve(model)
    _family(resolved.spec).check(resolved.spec, options.runtime)
    check_segment_options(resolved.spec, options)
    require_consent(resolved.spec, options.accept_licence)
    return load_resolved(resolved.ready(options.offline, options.on_download), options)


def load_resolved(resolved: ResolvedModel, options: LoadOptions) -> Loaded:
    """A model whose weights are on this machine, ready to separate; licence and runtime were asked about before."""
    return _family(resolved.spec).load(resolved, options)


def _family(spec: ModelSpec) -> Family:
    return cast(Family, importlib.import_module(FAMILIES[type(spec)]))

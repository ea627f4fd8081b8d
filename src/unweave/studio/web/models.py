"""What the page in the browser knows about its models: taken from the catalogue, so that nothing is said twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unweave import __version__
from unweave.audio.colours import colour_of
from unweave.families.folding import groups_of
from unweave.families.masking import graph_path
from unweave.families.quality import PRESETS, Quality
from unweave.models.catalogue.official import find_spec
from unweave.models.resolve import resolve
from unweave.models.spec import MaskModelSpec
from unweave.studio.purposes import PURPOSES

NETWORK_OF = "unweave:5stems"
MODELS = ("unweave:4stems", NETWORK_OF)  # one network, whose weights are inside the package
FIELDS = ("name", "stems", "licence", "sample_rate", "n_fft", "hop_length", "n_bins", "n_frames")


def models_card() -> dict[str, Any]:
    """The models, the presets, and what projects for DAWs hold, as the page reads them (``models.json``)."""
    qualities = {name: quality for name, quality in PRESETS.items() if quality.sums_to_mixture}
    return {
        "models": [_card(name, qualities) for name in MODELS],
        "qualities": list(qualities),
        "colours": {stem: colour_of(stem) for name in MODELS for stem in find_spec(name).stems},
        "version": __version__,
    }


def network_path() -> Path:
    """The network of all `MODELS`, as `unweave separate` runs it with five stems."""
    spec = find_spec(NETWORK_OF)
    assert isinstance(spec, MaskModelSpec)
    assert not spec.folds
    return graph_path(spec, _weights())


def model_card_path() -> Path:
    """Where the network's data and credits are told."""
    return _weights().with_name("README.md")


def _weights() -> Path:
    return resolve(NETWORK_OF).locate(True, lambda done, total, label: None)


def _card(name: str, qualities: dict[str, Quality]) -> dict[str, Any]:
    spec = find_spec(name)
    assert isinstance(spec, MaskModelSpec)
    assert spec.mask_extension == "edge"
    assert spec.mask_exponent == 1.0
    card = {field: getattr(spec, field) for field in FIELDS}
    card["groups"] = groups_of(spec) if spec.folds else [[index] for index in range(len(spec.stems))]
    card["rest"] = spec.rest_stem
    card["overlap_frames"] = {key: quality.apply(spec).overlap_frames for key, quality in qualities.items()}
    card["purpose"] = next((purpose for purpose, names in PURPOSES.items() if name in names), "")
    return card

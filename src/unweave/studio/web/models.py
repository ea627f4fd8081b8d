"""What the page in the browser knows about the models that it runs: from the catalogue, so that nothing is said twice."""

from __future__ import annotations

from typing import Any

from unweave.families.quality import PRESETS, Quality
from unweave.models.catalog import find_spec
from unweave.models.folding import groups_of
from unweave.models.spec import MaskModelSpec
from unweave.studio.purposes import PURPOSES

MODELS = ("unweave:4stems", "unweave:5stems")  # the same weights, which are inside the package
FIELDS = ("name", "stems", "licence", "sample_rate", "n_fft", "hop_length", "n_bins", "n_frames")


def models_card() -> dict[str, Any]:
    """The models and the presets as the page reads them (``models.json``)."""
    qualities = {name: quality for name, quality in PRESETS.items() if quality.sums_to_mixture}
    return {
        "models": [_card(name, qualities) for name in MODELS],
        "qualities": list(qualities),
    }


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

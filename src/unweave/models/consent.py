"""Licences that restrict the use of weights are accepted once, and that is written down."""

from __future__ import annotations

import json
import logging
import os
from datetime import datetime, timezone

from unweave.errors import ConsentError
from unweave.files import replace_file
from unweave.models.cache import cache_folder
from unweave.models.spec import MaskModelSpec, ModelSpec

log = logging.getLogger(__name__)

# Names of models, separated by commas, or "all".
VARIABLE = "UNWEAVE_ACCEPT_LICENCE"

_given: set[str] = set()  # in this process, where they cannot be kept


def require_consent(spec: ModelSpec, accepted: bool) -> None:
    """Return if the licence of ``spec`` is free, or was accepted: now, by the environment, or before.

    A consent given now is kept, with the date, in ``consents.json`` in the cache; where that cannot be written it
    holds until the program ends, and a warning says so. Raises `ConsentError`, which says what the licence allows and
    how to accept it.
    """
    if isinstance(spec, MaskModelSpec) or not spec.needs_consent:
        return
    named = [name.strip() for name in os.environ.get(VARIABLE, "").split(",")]
    if accepted or spec.name in named or "all" in named:
        _record(spec)
    elif spec.name not in _given and spec.name not in _consents():
        raise ConsentError(
            f"{spec.name}: {spec.notes}. If that suits your use, run again with --accept_licence "
            f"(or set {VARIABLE}={spec.name}); you will only be asked once"
        )


def _consents() -> dict[str, str]:
    try:
        consents = json.loads((cache_folder() / "consents.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return consents if isinstance(consents, dict) else {}


def _record(spec: ModelSpec) -> None:
    consents = _consents()
    if spec.name in consents or spec.name in _given:
        return
    consents[spec.name] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        replace_file(cache_folder() / "consents.json", json.dumps(consents, indent=2).encode())
    except OSError as error:
        _given.add(spec.name)
        log.warning(
            "the consent to the licence of %s cannot be kept in %s (%s): it will be asked for again",
            spec.name,
            cache_folder(),
            error.strerror or error,
        )

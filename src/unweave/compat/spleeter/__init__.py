"""Spleeter's names over unweave: ``import unweave.compat.spleeter as spleeter``.

The modules, signatures, shapes (samples first), the rate of 44.1 kHz and the layout of files are the original's, and so
are the samples, to −100 dB. What differs on purpose, and why, is listed in ``docs/migrating.md``.
"""

from unweave.errors import UnweaveError
from unweave.models.hub import honour_own_models

honour_own_models()

# Every error of ours is one of Spleeter's to who catches that.
SpleeterError = UnweaveError

OFFICIAL = ("2stems", "4stems", "5stems")


def model_name(descriptor: str) -> str:
    """What unweave calls the model that Spleeter calls ``descriptor``: 4stems is Spleeter's here, not ours."""
    return f"spleeter:{descriptor}" if descriptor in OFFICIAL else descriptor


__all__ = ["SpleeterError"]

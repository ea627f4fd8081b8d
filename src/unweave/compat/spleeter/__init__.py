"""Spleeter's names over unweave: ``import unweave.compat.spleeter as spleeter``.

The modules, signatures, shapes (samples first), the rate of 44.1 kHz and the layout of files are the original's, and so
are the samples, to −100 dB. What differs on purpose, and why, is listed in ``docs/migrating.md``.
"""

from unweave.errors import UnweaveError

# Every error of ours is one of Spleeter's to who catches that.
SpleeterError = UnweaveError

__all__ = ["SpleeterError"]

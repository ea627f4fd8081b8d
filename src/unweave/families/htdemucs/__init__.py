"""Hybrid Transformer Demucs: two U-Nets, over the spectrum and over the samples, joined by a transformer."""

from unweave.families.htdemucs.family import open_separator, open_twin, parallel, recognise, with_segment, write_network
from unweave.families.htdemucs.spec import HTDemucsSpec as Spec

__all__ = ["Spec", "open_separator", "open_twin", "parallel", "recognise", "with_segment", "write_network"]

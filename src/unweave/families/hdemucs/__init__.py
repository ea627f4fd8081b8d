"""Hybrid Demucs, version 3: two U-Nets, over the spectrum and over the samples, that become one in their depth."""

from unweave.families.hdemucs.family import open_separator, open_twin, recognise, with_segment, write_network
from unweave.families.hdemucs.spec import HDemucsSpec as Spec

__all__ = ["Spec", "open_separator", "open_twin", "recognise", "with_segment", "write_network"]

"""Hybrid Demucs, version 3: two U-Nets, over the spectrum and over the samples, that become one in their depth."""

from unweave.families.hdemucs.family import open_separator, recognise, write_network
from unweave.families.hdemucs.spec import HDemucsSpec as Spec

__all__ = ["Spec", "open_separator", "recognise", "write_network"]

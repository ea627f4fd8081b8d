"""Bags of Demucs' kind: several networks of one family, of which each is trusted with some of the stems."""

from unweave.families.bag.family import open_separator, open_twin, recognise, with_segment, write_network
from unweave.families.bag.members import read_members
from unweave.families.bag.spec import BagSpec as Spec

__all__ = ["Spec", "open_separator", "open_twin", "read_members", "recognise", "with_segment", "write_network"]

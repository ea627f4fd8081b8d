"""SCNet: small, large, XL, XL IHF and their masked variants, from anybody's checkpoint."""

from unweave.families.scnet.graph import write_network
from unweave.families.scnet.recipe import open_separator, open_twin, with_segment
from unweave.families.scnet.recognise import recognise
from unweave.families.scnet.spec import ScnetSpec as Spec

__all__ = ["Spec", "open_separator", "open_twin", "recognise", "with_segment", "write_network"]

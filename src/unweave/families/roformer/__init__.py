"""BS-RoFormer and Mel-Band RoFormer: transformers over time and over frequency bands in turn."""

from unweave.families.roformer.family import open_separator, open_twin, with_segment, write_network
from unweave.families.roformer.recognise import recognise
from unweave.families.roformer.spec import RoformerSpec as Spec

__all__ = ["Spec", "open_separator", "open_twin", "recognise", "with_segment", "write_network"]

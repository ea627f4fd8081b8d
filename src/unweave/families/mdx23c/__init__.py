"""MDX23C, which is TFC-TDF v3, from anybody's checkpoint."""

from unweave.families.mdx23c.graph import write_network
from unweave.families.mdx23c.recipe import open_separator, open_twin, with_segment
from unweave.families.mdx23c.recognise import recognise
from unweave.families.mdx23c.spec import Mdx23cSpec as Spec

__all__ = ["Spec", "open_separator", "open_twin", "recognise", "with_segment", "write_network"]

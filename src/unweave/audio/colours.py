"""The colour of each stem, in files that have room for one."""

from __future__ import annotations

# Colours that people with any colour vision can tell apart (M. Okabe, K. Ito, 2008).
COLOURS = {
    "vocals": "#56B4E9",
    "drums": "#009E73",
    "bass": "#D55E00",
    "other": "#CC79A7",
    "piano": "#E69F00",
    "guitar": "#F0E442",
    "accompaniment": "#0072B2",
}
UNKNOWN = "#999999"


def colour_of(stem: str) -> str:
    """A stem's colour as #RRGGBB, whatever the case of its name."""
    return COLOURS.get(stem.casefold(), UNKNOWN)

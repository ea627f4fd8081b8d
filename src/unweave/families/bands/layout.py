"""How the network over split bands cuts up the spectrum, and its other constants, with or without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

FRAMES_PER_CELL = 2
SOFTEST = 1e-4  # level of a segment below which it is not raised further; 16 bits of dither are at 1e-3
N_HEADS = 4
QUERY_WIDTH = 8  # numbers per head and cell by which frames are compared
BOTTLENECK = 8  # how many times fewer numbers than cells lie between the two matrices over frequency


@dataclass(frozen=True)
class Band:
    """A stretch of the spectrum, ``bins_per_cell`` of whose bins become one cell of the network."""

    start: int
    stop: int
    bins_per_cell: int
    bins_per_mask: int  # this many neighbours are masked alike

    @property
    def n_cells(self) -> int:
        """Cells over frequency."""
        return (self.stop - self.start) // self.bins_per_cell


def bands_of(n_bins: int) -> tuple[Band, ...]:
    """The lowest sixteenth of the bins one by one, three by fours, the rest by sixteens: 5/32 as many cells."""
    sixteenth = n_bins // 16
    return (
        Band(0, sixteenth, 1, 1),
        Band(sixteenth, 4 * sixteenth, 4, 1),
        Band(4 * sixteenth, n_bins, 16, 4),
    )


def frequency_grid(n_levels: int) -> int:
    """The number of bins must be a multiple of this."""
    return 32 << (n_levels - 1)

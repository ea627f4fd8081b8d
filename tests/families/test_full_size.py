"""Every family once at a published full size, with random weights: what it computes, and the memory that it takes."""

import pytest
from benchmarks.families import measure
from benchmarks.family_cases import CASES

MOST_MEGABYTES = 2500


@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(CASES)), ids=[case.label for case in CASES])
def test_a_published_size(index, tmp_path):
    """Beside our own network in PyTorch; `benchmarks.families` has the references. The table is printed with -s."""
    rows = measure(index, None, tmp_path, 1, tiny=False)
    print(*(" | ".join(row) for row in rows), sep="\n")
    _, _, _, megabytes, _, difference = rows[0]
    assert float(difference) < -95
    assert float(megabytes) < MOST_MEGABYTES

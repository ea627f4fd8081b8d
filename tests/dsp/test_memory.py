import numpy as np
import pytest

from unweave.dsp.memory import large_zeros


@pytest.mark.parametrize("shape", [(2, 3, 5), (1,), (2, 0), (0,)])
def test_zeros_that_can_be_written_to(shape):
    zeros = large_zeros(shape)
    assert (zeros.shape, zeros.dtype) == (shape, np.float32)
    assert not zeros.any()
    zeros += 1
    assert zeros.sum() == np.prod(shape)

"""What can be a mixture: samples, files, and nothing else."""

import io

import numpy as np
import pytest

from tests.audio.test_files import write
from tests.helpers.signals import noise
from unweave import OptionError
from unweave.audio.decode import BLOCK_SAMPLES
from unweave.separation.sources import ArraySource, open_source


def test_an_array_is_read_in_blocks_as_often_as_one_likes():
    samples = noise(2 * BLOCK_SAMPLES + 7, 1).astype(np.float64)
    source = ArraySource(samples, 22050)
    assert (source.sample_rate, source.n_channels) == (22050, 1)
    assert source.expected_seconds == pytest.approx((2 * BLOCK_SAMPLES + 7) / 22050)
    for blocks in (list(source.again()), list(source)):
        assert [block.shape for block in blocks] == [(1, BLOCK_SAMPLES), (1, BLOCK_SAMPLES), (1, 7)]
        assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
        np.testing.assert_array_equal(np.concatenate(blocks, axis=1), samples.astype(np.float32))


def test_blocks_may_be_written_to():
    samples = noise(100)
    before = samples.copy()
    for block in ArraySource(samples, 44100):
        block[:] = 7
    np.testing.assert_array_equal(samples, before)


def test_what_a_source_is_opened_from(tmp_path):
    path = write(tmp_path / "a.wav", noise(1000), 22050)
    for given in (path, str(path), io.BytesIO(path.read_bytes())):
        with open_source(given, None) as source:
            assert (source.sample_rate, source.n_channels) == (22050, 2)
        with pytest.raises(OptionError, match="only for arrays"):
            open_source(given, 44100)
    with open_source(noise(10, 1), 8000) as source:
        assert (source.sample_rate, source.n_channels) == (8000, 1)
    with pytest.raises(OptionError, match="needs its sample_rate"):
        open_source(noise(10), None)

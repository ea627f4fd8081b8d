import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.signals import noise
from unweave.errors import OptionError


def push_all(stream, waveform, sizes):
    parts, start = [], 0
    while start < waveform.shape[1]:
        size = sizes[len(parts) % len(sizes)]
        parts.append(stream.push(waveform[:, start : start + size]))
        start += size
    parts.append(stream.flush())
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n_samples=st.integers(1, 30_000),
    sample_rate=st.sampled_from([44100, 44100, 48000, 8000]),
    n_channels=st.sampled_from([1, 2, 6]),
    sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=4),
)
def test_streaming_equals_one_shot_to_the_last_bit(toy, n_samples, sample_rate, n_channels, sizes):
    waveform = noise(n_samples, n_channels)
    whole = toy.separate(waveform, sample_rate)
    streamed = push_all(toy.stream(sample_rate, n_channels), waveform, sizes)
    for name, stem in whole.items():
        assert stem.shape == (min(n_channels, 2), n_samples)
        np.testing.assert_array_equal(streamed[name], stem)


def test_the_first_stems_leave_before_the_end(toy):
    stream = toy.stream(44100)
    early = sum(stream.push(noise(1024)).n_samples for _ in range(200))
    assert early > 150_000


def test_another_output_rate(toy):
    waveform = noise(44_100)
    stems = push_all(toy.stream(44100, output_rate=22050), waveform, [5000])
    assert stems["vocals"].shape == (2, 22_050)


def test_a_block_of_another_shape(toy):
    with pytest.raises(OptionError, match=r"expected a block of shape \(2, samples\)"):
        toy.stream(44100).push(noise(10, 1))


def test_nothing_after_the_end(toy):
    stream = toy.stream(44100)
    stream.flush()
    with pytest.raises(OptionError, match="flushed or closed"):
        stream.push(noise(10))


def test_nothing_after_a_failure(toy, monkeypatch):
    """A segment would be missing, and everything after it too early."""
    stream = toy.stream(44100)
    stream.push(noise(10_000))

    def interrupted(samples):
        raise KeyboardInterrupt

    monkeypatch.setattr(stream._stream, "push", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stream.push(noise(10_000))
    monkeypatch.undo()
    with pytest.raises(OptionError, match="closed"):
        stream.push(noise(10_000))


def test_closed_in_the_middle(toy):
    stream = toy.stream(44100)
    stream.push(noise(100_000))
    stream.close()
    with pytest.raises(OptionError, match="flushed or closed"):
        stream.flush()
    assert toy.separate(noise(1000), 44100).n_samples == 1000

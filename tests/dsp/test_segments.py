import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.helpers.signals import noise
from unweave.dsp.segments import SampleQueue, Segmentation, SegmentCutter, SegmentJoiner


def cut(waveform, segmentation, sizes):
    cutter, segments, start = SegmentCutter(segmentation, len(waveform)), [], 0
    while start < waveform.shape[1]:
        size = sizes[start % len(sizes)]
        segments += cutter.push(waveform[:, start : start + size])
        start += size
    return [*segments, *cutter.flush()]


@settings(deadline=None)
@example(n_samples=6, hop=4, overlap=0, lead=1, sizes=[1])  # one sample short of a segment
@given(
    n_samples=st.integers(0, 700),
    hop=st.integers(1, 50),
    overlap=st.integers(0, 60),
    lead=st.integers(0, 30),
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=4),
)
def test_cut_and_joined_is_the_signal(n_samples, hop, overlap, lead, sizes):
    """With each segment weighted so that overlapping weights sum to one."""
    segmentation = Segmentation(length=hop + overlap, hop=hop, lead=lead)
    waveform = noise(n_samples, level=1)
    segments = cut(waveform, segmentation, sizes)
    assert len(segments) == segmentation.count(n_samples)
    joiner, joined = SegmentJoiner(segmentation), []
    for segment in segments:
        assert segment.shape == (2, hop + overlap)
        weighted = segment[None].copy()
        weighted[..., hop:] = 0  # what the next segment brings
        joined.append(joiner.push(weighted))
    if joined:
        whole = np.concatenate(joined, axis=-1)[0]
        assert whole.shape[1] >= n_samples
        np.testing.assert_array_equal(whole[:, :n_samples], waveform)


def test_a_segment_leaves_as_soon_as_it_is_whole():
    cutter, samples = SegmentCutter(Segmentation(length=4, hop=3, lead=1), 2), noise(8)
    assert list(cutter.push(samples[:, :2])) == []
    (first,) = cutter.push(samples[:, 2:3])
    np.testing.assert_array_equal(first, np.pad(samples[:, :3], [(0, 0), (1, 0)]))
    (second,) = cutter.push(samples[:, 3:6])
    np.testing.assert_array_equal(second, samples[:, 2:6])
    assert list(cutter.push(samples[:, 6:])) == []
    (last,) = cutter.flush()  # one sample is missing
    np.testing.assert_array_equal(last, np.pad(samples[:, 5:], [(0, 0), (0, 1)]))
    assert cutter.n_samples == 8


def test_overlaps_add_up():
    joiner = SegmentJoiner(Segmentation(length=6, hop=4, lead=2))
    first = joiner.push(np.ones((1, 1, 6), np.float32))
    second = joiner.push(np.ones((1, 1, 6), np.float32))
    np.testing.assert_array_equal(first[0, 0], [1, 1])
    np.testing.assert_array_equal(second[0, 0], [2, 2, 1, 1])


def test_a_queue_gives_samples_in_order_and_then_silence():
    queue, samples = SampleQueue(), noise(10)
    for block in (samples[:, :4], samples[:, 4:4], samples[:, 4:9], samples[:, 9:]):
        queue.push(block)
    np.testing.assert_array_equal(queue.take(2, 2), samples[:, :2])
    np.testing.assert_array_equal(queue.take(5, 2), samples[:, 2:7])
    np.testing.assert_array_equal(queue.take(0, 2), samples[:, :0])
    np.testing.assert_array_equal(queue.take(5, 2), np.pad(samples[:, 7:], ((0, 0), (0, 2))))
    np.testing.assert_array_equal(queue.take(3, 1), np.zeros((1, 3)))

"""The mean over swapped channels and inverted polarity."""

import numpy as np
import pytest

from tests.helpers.signals import noise
from unweave import OptionError, Separator
from unweave.dsp.segments import Segmentation
from unweave.separation.averaging import VariedSeparator


class Lopsided:
    """Hears more on the left, and adds half of every segment's magnitude, whatever its sign."""

    segmentation = Segmentation(length=8, hop=4, lead=2)

    def separate(self, segment, stems, *, is_first):
        gained = segment * np.array([[0.75], [0.25]], np.float32) + 0.5 * np.abs(segment)
        return np.stack([gained * (stem + 1) for stem in stems]).astype(np.float32)


def test_values():
    """Of (left, right) = (a, b): (0.75 a, 0.25 b), (0.25 a, 0.75 b), (0.75 a, 0.25 b), and |…| twice up, once down."""
    segment = np.array([[1, -2, 0, 0.5, 0, 0, 0, 0], [4, 0, -1, 0, 0, 0, 0, 0]], np.float32)
    before = segment.copy()
    separated = VariedSeparator(Lopsided()).separate(segment, (0, 1), is_first=True)
    expected = np.stack([segment[0] * 1.75 / 3, segment[1] * 1.25 / 3]) + np.abs(segment) * 0.5 / 3
    np.testing.assert_allclose(separated, np.stack([expected, 2 * expected]), atol=1e-6)
    np.testing.assert_array_equal(segment, before)
    assert VariedSeparator(Lopsided()).segmentation == Lopsided.segmentation


def test_of_a_model(toy_json):
    """A masking model hears no polarity: what is left is the mean of both ways round."""
    mixture = noise(20_000) * np.array([[1.0], [0.3]], np.float32)
    plain = Separator(toy_json, quality="exact", threads=2)
    straight, swapped = plain.separate(mixture, 44100), plain.separate(mixture[::-1], 44100)
    averaged = Separator(toy_json, quality="exact", threads=2, tta=True).separate(mixture, 44100)
    for name, stem in averaged.items():
        np.testing.assert_allclose(stem, (2 * straight[name] + swapped[name][::-1]) / 3, atol=1e-5)
    np.testing.assert_allclose(
        sum(Separator(toy_json, threads=2, tta=True).separate(mixture, 44100).values()), mixture, atol=1e-6
    )


def test_not_with_the_wiener_filter(toy_json):
    with pytest.raises(OptionError, match="exclude each other"):
        Separator(toy_json, tta=True, wiener="track")

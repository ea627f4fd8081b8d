"""Models that mask a spectrum: what is known of them once they are loaded."""

import dataclasses

import numpy as np
import pytest

from tests.helpers.signals import error_db, noise
from unweave.families import masking
from unweave.families.base import LoadOptions
from unweave.models.catalogue.official import find_spec
from unweave.models.resolve import ResolvedModel


class Guess:
    """A network that estimates anything."""

    def estimate(self, magnitude):
        return np.random.default_rng(0).random((4, *magnitude.shape), np.float32)


@pytest.mark.parametrize(("extension", "sums"), [("zeros", False), ("average", True), ("edge", True)])
def test_stems_make_up_the_mixture_where_masks_reach_the_highest_bin(monkeypatch, tmp_path, extension, sums):
    """Over bands, whose extension no quality changes."""
    spec = dataclasses.replace(find_spec("unweave:4stems"), mask_extension=extension)
    monkeypatch.setattr(masking, "_network", lambda *arguments: Guess())
    loaded = masking.load(ResolvedModel(spec, lambda offline, progress: tmp_path), LoadOptions())
    mixture = noise(spec.segmentation.length)
    stems = loaded.separator.separate(mixture, range(4), is_first=True)
    middle = slice(spec.n_fft, spec.segmentation.hop // 2)  # where no fade is
    assert bool(error_db(stems.sum(axis=0)[:, middle], mixture[:, middle]) < -90) == sums
    assert loaded.sums_to_mixture == sums

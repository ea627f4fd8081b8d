"""What is held of either hybrid network: against what the package demucs computes, and of its twin in PyTorch."""

import numpy as np
import onnxruntime
import pytest

from tests.families.htdemucs.small import signal
from tests.helpers.signals import error_db
from unweave.dsp.real_parts import as_channels
from unweave.errors import CheckpointError
from unweave.families.demucs.graph import MIXTURE, SPECTRUM
from unweave.families.demucs.spectrum import spectrum_of


class Graph:
    """A graph as a `HybridNetwork`, on one thread."""

    def __init__(self, model):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def run(self, mixture, spectrum):
        spectra, waveforms = self.session.run(None, {MIXTURE: mixture[None], SPECTRUM: spectrum[None]})
        return spectra[0], waveforms[0]


def inputs(spec):
    """A mixture and its spectrum, as the network takes them."""
    mixture = signal(spec.segment_samples, spec.audio_channels)
    return mixture, as_channels(spectrum_of(mixture, spec))


def outputs_of_twin(network, spec):
    """What the network in PyTorch makes of `inputs`."""
    import torch

    with torch.inference_mode():
        given = network(*(torch.from_numpy(array)[None] for array in inputs(spec)))
    return [array.numpy()[0] for array in given]


def equal_references(outputs, references, name, every):
    """Spectra and waveforms are those of the package demucs, of which some values are stored."""
    for kind, found in zip(("spectra", "waveforms"), outputs, strict=True):
        assert error_db(found.ravel()[::every], references[f"{name}/{kind}"]) < -100


def equal_each_other(ours, theirs, decibels):
    """Two computations of the same network, from a sound that is none too soft."""
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        assert np.abs(other).max() > 1e-3
        assert error_db(one, other) < decibels


def a_batch_is_its_parts(network, spec):
    """Each segment of a batch is computed as if it were alone."""
    import torch

    arrays = [torch.from_numpy(np.stack([array, array[::-1] * 0.3])) for array in inputs(spec)]
    with torch.inference_mode():
        together = network(*arrays)
        for row in range(2):
            alone = network(*(array[row : row + 1] for array in arrays))
            for ours, theirs in zip(together, alone, strict=True):
                assert error_db(ours[row].numpy(), theirs[0].numpy()) < -100


def other_weights_are_refused(load_network, spec, weights, kind):
    """In words that name the kind of network."""
    with pytest.raises(CheckpointError, match=kind):
        load_network(spec, {**weights, "encoder.0.conv.bias": np.zeros(3, np.float32)})


def the_recipe_is_that_of_demucs(separated, mixture, expected, every):
    """Stems of a whole track are those of the package demucs."""
    assert separated.shape == (4, *mixture.shape)
    if mixture.any():
        assert error_db(separated.ravel()[::every], expected) < -80
    else:
        assert not separated.any()
        assert not expected.any()

"""Our own weights: inside the package, whole, and ready without a network, a cache or a download."""

import hashlib

import numpy as np
import pytest

from tests.helpers.signals import error_db, song
from unweave import DownloadError, Separator
from unweave.models import hub
from unweave.models.catalogue.official import find_spec, find_weights
from unweave.models.export import read_exported_spec
from unweave.models.hub import ensure_weights, home_of
from unweave.models.resolve import resolve

RATE = 44100


def test_every_file_is_what_the_catalogue_says():
    weights = find_weights("open5")
    folder = home_of(weights)
    for file in weights.files:
        content = (folder / file.name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 16e6
    assert "## Sources and credits" in (folder / "README.md").read_text()
    assert ensure_weights("open5", offline=True) == folder


def test_the_catalogue_describes_the_network_that_is_there():
    own = find_spec("unweave:5stems")
    kept = read_exported_spec(resolve("unweave:5stems").locate(True, print))
    shape = ("stems", "network", "n_filters", "time_attention", "ensemble", "n_bins", "n_fft", "hop_length")
    for field in (*shape, "mask_exponent", "mask_extension"):
        assert getattr(kept, field) == getattr(own, field)


def test_soft_music_is_separated_as_loud_music_is():
    """Softer by a power of two, the same digits are computed; otherwise rounding makes a difference."""
    separator, mixture = Separator("unweave:4stems", device="cpu"), song(4.0)
    loud = separator.separate(mixture, RATE)
    for gain, largest_db in ((np.float32(2**-7), -140), (np.float32(0.01), -72)):
        soft = separator.separate(gain * mixture, RATE)
        for stem in loud:  # beside the mixture: in this song there are hardly any drums
            assert error_db(soft[stem] / gain - loud[stem] + mixture, mixture) < largest_db
            assert error_db(soft[stem] / gain, loud[stem]) < -45


def test_silence_gives_silence():
    stems = Separator("unweave:4stems", device="cpu").separate(np.zeros((2, RATE), np.float32), RATE)
    assert all(not stem.any() for stem in stems.values())


@pytest.mark.parametrize("name", ["4stems", "5stems"])
def test_they_separate_offline_with_an_empty_cache(cache, monkeypatch, name):
    monkeypatch.setenv("UNWEAVE_OFFLINE", "1")
    mixture = song(4.0)
    stems = Separator(name, device="cpu").separate(mixture, RATE)
    assert set(stems) == set(find_spec(name).stems)
    assert all(np.isfinite(stem).all() for stem in stems.values())
    assert error_db(sum(stems.values()), mixture) < -90


def test_four_stems_are_five_with_the_piano_in_the_rest(cache):
    mixture = song(3.0)
    names = ("unweave:4stems", "unweave:5stems")
    four, five = (Separator(name, device="cpu").separate(mixture, RATE) for name in names)
    assert error_db(four["drums"], five["drums"]) < -90
    assert error_db(four["other"], five["other"] + five["piano"]) < -80


def test_pytorch_computes_the_same(cache):
    from unweave.engines.torch import TorchSeparator
    from unweave.families.torch_network import load_network

    separator = Separator("unweave:4stems", device="cpu")
    module = load_network(separator.spec, resolve("unweave:4stems").locate(True, print))
    in_torch = TorchSeparator(separator.spec, module, "cpu", "float32")
    magnitude = np.abs(np.random.default_rng(0).standard_normal((2, 512, 1536))).astype(np.float32)
    assert error_db(in_torch.estimate(magnitude), separator.loaded[0].masking.network.estimate(magnitude)) < -110


def test_the_exported_graph_is_the_network_that_runs():
    """Both are rounded to half precision, which must happen to the same numbers."""
    import onnxruntime
    import safetensors.numpy

    from unweave.families.bands.graph import INPUT, build_graph

    folder = home_of(find_weights("open5"))
    spec = read_exported_spec(folder / "open5.onnx")
    assert spec == read_exported_spec(folder / "open5.safetensors")
    built = build_graph(safetensors.numpy.load_file(folder / "open5.safetensors"), spec).SerializeToString()
    magnitudes = np.abs(np.random.RandomState(0).standard_normal((1, 2, 512, 1536))).astype(np.float32)
    exported, ours = (
        onnxruntime.InferenceSession(network).run(None, {INPUT: magnitudes})[0]
        for network in (str(folder / "open5.onnx"), built)
    )
    assert exported.shape == ours.shape == (5, 1, 2, 512, 1536)
    for stem, network in zip(exported, ours, strict=True):
        assert error_db(stem, network) < -110


def test_a_package_without_them_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "__file__", str(tmp_path / "hub.py"))
    with pytest.raises(DownloadError, match="install unweave again"):
        ensure_weights("open5")

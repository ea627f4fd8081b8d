"""Other segments than the published ones: their networks against the twins in PyTorch, and their sums."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from tests.families.segments import decibels, mixture, streamed
from tests.families.test_foreign import htdemucs, roformer
from tests.families.test_twins import made
from tests.helpers.signals import error_db, noise
from unweave import OptionError, Separator
from unweave.engines.choose import Runtime
from unweave.families import foreign
from unweave.families.base import LoadOptions
from unweave.families.demucs.recipe import HybridSeparator
from unweave.families.htdemucs import published
from unweave.families.mdx.recipe import MdxSeparator
from unweave.families.mdx.spec import MdxSpec
from unweave.families.openunmix.recipe import OpenUnmixSeparator
from unweave.families.openunmix.spec import OpenUnmixSpec
from unweave.families.overlapping import OverlappingSeparator
from unweave.families.roformer.network import Roformer
from unweave.families.roformer.spec import RoformerSpec
from unweave.families.segment_options import check_segment_options
from unweave.models.cache import graphs_folder
from unweave.models.catalogue.official import specs

NETWORK_DB = -100


def checkpoint(family, folder):
    """A small one with random weights, as its training code saves it, with its YAML; and how its twin is made."""
    cases = importlib.import_module(f"tests.families.{family}.cases")
    name = next(iter(cases.CASES))
    lines = np.load(Path(cases.__file__).with_name("reference.npz"))[f"{name}/names"]
    shapes = dict(line.split(" ", 1) for line in lines)
    weights = cases.random_weights({key: tuple(json.loads(f"[{text.strip('(),')}]")) for key, text in shapes.items()})
    path = folder / f"{family}.ckpt"
    torch.save({key: torch.from_numpy(array) for key, array in weights.items()}, path)
    settings = cases.CASES[name][1] if isinstance(cases.CASES[name], tuple) else cases.CASES[name]
    path.with_suffix(".yaml").write_text(yaml.safe_dump(settings))
    return path, weights


def twin_of(family, spec, weights):
    module = importlib.import_module(f"unweave.families.{family}.network")
    twin = getattr(module, family.capitalize())(spec).eval()
    twin.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, strict=False)
    return twin


@pytest.mark.parametrize(("family", "factor"), [("scnet", 1.7), ("mdx23c", 0.6)])
def test_the_network_of_another_length_equals_its_twin(tmp_path, cache, family, factor):
    path, weights = checkpoint(family, tmp_path)
    foreign.add_checkpoint("mine", path)
    published = Separator("mine", threads=1).loaded[0].separator.spec
    seconds = factor * published.segment_samples / published.sample_rate
    separator = Separator("mine", threads=1, segment_seconds=seconds).loaded[0].separator
    assert separator.spec.segment_samples % published.hop_length == 0
    assert separator.segmentation.length == pytest.approx(factor * published.segment_samples, rel=0.2)
    assert separator.segmentation.length != published.segment_samples
    twin = twin_of(family, separator.spec, weights)
    network, seen = separator._network._session, []

    class Seen:
        def run(self, numbers):
            (given,) = network.run(numbers)
            with torch.no_grad():
                seen.append((given, twin(torch.from_numpy(numbers)).numpy()))
            return [given]

    separator._network._session = Seen()
    separator.estimate(mixture(separator.segmentation.length), [0])
    ((given, expected),) = seen
    assert decibels(given, expected) < NETWORK_DB


def test_a_roformer_of_another_length_equals_its_twin(tmp_path, cache):
    path = roformer(tmp_path)
    weights = torch.load(path)
    foreign.add_checkpoint("mine", path)
    separator = Separator("mine", threads=1, segment_seconds=0.25).loaded[0].separator
    assert separator.segmentation.length == 11_025
    twin = Roformer(separator.spec)
    twin.load_state_dict(weights, strict=True)
    numbers = noise(separator.spec.n_frames, 4 * separator.spec.n_bins).T.copy()
    with torch.no_grad():
        expected = twin(torch.from_numpy(numbers)[None])[0].numpy()
    assert decibels(separator._network.network.masks(numbers), expected) < NETWORK_DB


def test_lengths_and_overlaps_of_a_model(tmp_path, cache):
    foreign.add_checkpoint("mine", roformer(tmp_path))
    mixed = noise(30_000)
    plain = Separator("mine", threads=1)
    changed = Separator("mine", threads=1, segment_seconds=0.2, overlap=0.75)
    segmentation = changed.loaded[0].separator.segmentation
    assert (segmentation.length, segmentation.hop) == (8820, 2205)
    stems = changed.separate(mixed, 44100)
    assert error_db(sum(stems.values()), mixed) < -100
    assert error_db(stems["vocals"], plain.separate(mixed, 44100)["vocals"]) > -60
    # A network is kept for each length; the overlap is none of its business.
    assert len(list(graphs_folder().glob("roformer-*/network.onnx"))) == 2
    Separator("mine", threads=1, overlap=0.6)
    assert len(list(graphs_folder().glob("roformer-*/network.onnx"))) == 2


def test_overlap_of_a_demucs(tmp_path, cache):
    foreign.add_checkpoint("demucs", htdemucs(tmp_path))
    separator = Separator("demucs", threads=1, overlap=0.5)
    segmentation = separator.loaded[0].separator.segmentation
    assert segmentation.hop == segmentation.length - round(segmentation.length / 2)
    mixed = noise(40_000)
    assert error_db(sum(separator.separate(mixed, 44100).values()), mixed) < -100
    with pytest.raises(OptionError, match=r"overlap must be above 0 and at most 0\.5, got 0\.75"):
        Separator("demucs", overlap=0.75)


def test_options_of_the_published_htdemucs(cache, monkeypatch):
    """What takes its 174 MB is left out."""
    built = []

    def separator_of(spec, folder, runtime):
        built.append((spec.segment_samples, folder.name))
        return HybridSeparator(spec, None)

    monkeypatch.setattr(published, "_write", lambda spec, exported, folder: (folder / "network.onnx").write_bytes(b"x"))
    monkeypatch.setattr(published, "separator_of", separator_of)
    spec = specs()["htdemucs"]

    def opened(**given):
        options = LoadOptions(Runtime("cpu"), **given)
        check_segment_options(spec, options)
        return published.load(SimpleNamespace(spec=spec, locate=lambda *_: None), options).separator.segmentation

    assert opened() == spec.segmentation
    segmentation = opened(segment_seconds=5.0, overlap=0.5)
    assert (segmentation.length, segmentation.hop) == (5 * 44_100, 5 * 22_050)
    # Networks of two lengths are two networks.
    assert [n_samples for n_samples, _ in built] == [343_980, 220_500]
    assert len({name for _, name in built}) == 2
    with pytest.raises(OptionError, match=r"up to 7\.8 s, which this HTDemucs was trained with, got 9\.0"):
        opened(segment_seconds=9.0)


def test_refusals_name_what_there_is(tmp_path, cache, toy_json):
    foreign.add_checkpoint("mine", roformer(tmp_path))
    foreign.add_checkpoint("demucs", htdemucs(tmp_path))
    with pytest.raises(OptionError, match=r"segments of 0.1 s that overlap by .*; neither can be changed"):
        Separator(toy_json, segment_seconds=5)
    with pytest.raises(OptionError, match=r"at least 0.09 s for mine, got 0.01"):
        Separator("mine", segment_seconds=0.01)
    with pytest.raises(OptionError, match=r"up to 0\.1 s, which this HTDemucs was trained with, got 5\.0"):
        Separator("demucs", segment_seconds=5)
    for wrong in (-0.1, 0.99, "much", float("nan")):
        with pytest.raises(OptionError, match=r"expected an overlap from 0 to 0.98"):
            Separator("mine", overlap=wrong)
    for wrong in (0, -1, 1e9, True):
        with pytest.raises(OptionError, match="expected a segment of up to"):
            Separator("mine", segment_seconds=wrong)


def test_a_shorter_segment_of_a_demucs(tmp_path, cache):
    foreign.add_checkpoint("demucs", htdemucs(tmp_path))
    separator = Separator("demucs", threads=1, segment_seconds=0.05)
    assert separator.loaded[0].separator.segmentation.length == 2205
    mixed = noise(9000)
    assert error_db(sum(separator.separate(mixed, 44100).values()), mixed) < -100


@pytest.mark.parametrize(
    ("family", "case", "n_samples", "length"),
    [("mdx", "plain", 130_000, 1024 * 127), ("vr", "new", 60_000, 160 * (8 * 32 - 2)), ("hdemucs", "four", 5000, 5000)],
)
def test_networks_of_other_lengths_equal_their_twins(tmp_path, family, case, n_samples, length):
    package = importlib.import_module(f"unweave.families.{family}")
    spec, tensors = made(family, case, tmp_path)
    longer = package.with_segment(spec, n_samples)
    (tmp_path / "network").mkdir()
    package.write_network(longer, tensors, tmp_path / "network")
    runtime = Runtime("cpu", n_threads=1)
    ours = package.open_separator(longer, tmp_path / "network", runtime)
    twin = package.open_twin(longer, tensors, runtime)
    assert ours.segmentation.length == length
    segment = mixture(length)
    assert decibels(*(each.separate(segment, [0], is_first=False) for each in (twin, ours))) < -95


class Same:
    """A network that gives the mixture back."""

    def waveforms(self, segment, stems):
        return np.stack([segment for _ in stems])


ROFORMER = RoformerSpec("x", "bs", ("vocals",), segment_samples=2000)
MDX = MdxSpec("x", ("vocals",), "instrumental", n_fft=512, n_bins=256, n_frames=20, hop_length=128)
OPENUNMIX = OpenUnmixSpec("x", ("vocals",), n_fft=512, hop_length=128, n_frames=20)


class SameMdx(MdxSeparator):
    def estimate(self, segment):
        return segment


class SameOpenUnmix(OpenUnmixSeparator):
    def spectra(self, mixture):
        return np.stack([mixture])


@pytest.mark.parametrize("n_samples", [1, 1999, 7001])
@pytest.mark.parametrize("hop", [30, 667, 1400, 2000])
def test_shares_sum_to_one_at_any_overlap(n_samples, hop):
    samples = mixture(n_samples)
    separator = OverlappingSeparator(ROFORMER, Same(), hop)
    np.testing.assert_allclose(streamed(separator, samples, 999)[0], samples, atol=2e-6)


@pytest.mark.parametrize("hop", [1216, 1900, 2432])
def test_shares_sum_to_one_where_two_segments_meet(hop):
    samples = mixture(9000)
    for separator in (SameMdx(MDX, None, hop), SameOpenUnmix(OPENUNMIX, None, hop)):
        np.testing.assert_allclose(streamed(separator, samples, 999)[0], samples, atol=5e-6)
        with pytest.raises(OptionError, match=r"expected an overlap from 0 to 0.5 for this family, got 0.75"):
            separator.with_overlap(0.75)
        assert separator.with_overlap(0.5).segmentation.hop == 1216

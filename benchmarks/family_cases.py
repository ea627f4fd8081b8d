"""The networks of `benchmarks.families`: their published sizes, random weights, and how ours are run."""

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from unweave.engines.choose import Runtime
from unweave.models.cache import graphs_folder
from unweave.models.catalogue.official import find_spec
from unweave.models.checkpoints import read_tensors

ROOT = Path(__file__).parents[1]
WEIGHTS = "weights.safetensors"
RUNTIME, HALVED = Runtime("cpu"), Runtime("cpu", "bfloat16")
SAMPLE_RATE = 44100
FOUR = ("drums", "bass", "other", "vocals")
SIZES_OF_VR = ROOT / "tests" / "families" / "vr" / "reference.npz"


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    label: str
    family: str
    full: Callable[[], Any]  # the description of the published network
    small: Callable[[], Any]  # and of one to try the benchmark with


def roformer(kind, dim, depth, n_hidden, **given):
    from unweave.families.roformer.spec import RoformerSpec

    widths = (4 * dim,) * n_hidden
    return RoformerSpec("x", kind, ("vocals",), dim=dim, depth=depth, ff_width=4 * dim, mask_widths=widths, **given)


def scnet(**given):
    from unweave.families.scnet.spec import ScnetSpec

    xl = {"dims": (4, 64, 128, 256), "hidden_widths": (16, 32, 64), "conv_depths": (3, 3, 3), "n_layers": 8}
    ihf = {"band_shares": (0.23, 0.37, 0.4), "band_strides": (1, 4, 4), "band_kernels": (3, 4, 4)}
    return ScnetSpec("x", FOUR, **{**xl, **ihf, **given})


def mdx23c(**given):
    from unweave.families.mdx23c.spec import Mdx23cSpec

    return Mdx23cSpec("x", ("vocals", "instrumental"), **given)


def htdemucs(**given):
    from unweave.families.htdemucs.spec import HTDemucsSpec

    return HTDemucsSpec(**given)


def hdemucs(**given):
    from unweave.families.hdemucs.spec import HDemucsSpec

    return HDemucsSpec(**given)


def openunmix(**given):
    from unweave.families.openunmix.spec import OpenUnmixSpec

    prefixes = tuple(f"{stem}." for stem in FOUR)
    return OpenUnmixSpec("x", FOUR, prefixes=prefixes, **{"hidden_width": 1024, "recurrent_width": 512, **given})


def mdx(n_fft, n_bins, growth, n_levels, n_convs):
    """As audio-separator's files: an ONNX graph, which is in the description."""
    from tests.families.mdx.cases import Size, model

    from unweave.families.mdx.graph import without_weights
    from unweave.families.mdx.spec import MdxSpec

    made = model(Size(n_bins, growth, n_levels, n_convs), 256, segments=1)
    weights = tuple((array.name, tuple(array.dims)) for array in made.graph.initializer)
    return MdxSpec("x", ("vocals",), "instrumental", n_fft, n_bins, weights=weights, graph=without_weights(made, "x"))


def vr(size, spectrum):
    """Of one of the published sizes that lie with the tests."""
    from unweave.families.vr.recognise import SPECTRUM, STEM, recognise

    with np.load(SIZES_OF_VR) as stored:
        lines = [line.split(" ", 1) for line in stored[f"published/{size}"]]
    shapes = {name: tuple(int(n) for n in shape.strip("(),").split(",") if n) for name, shape in lines}
    return recognise(Shapes(shapes), {SPECTRUM: spectrum, STEM: "Vocals"}, "x")


class Shapes(dict):
    """Names and shapes of arrays that do not exist, as `recognise` takes them."""

    path = Path("none")

    def shape(self, name):
        return self[name]


SMALL = {"n_heads": 2, "head_width": 8, "segment_samples": SAMPLE_RATE}
CASES = (
    Case("U-Nets, Spleeter's, 2 stems", "unet", *2 * [partial(find_spec, "spleeter:2stems")]),
    Case("split bands, ours, 5 stems", "bands", *2 * [partial(find_spec, "unweave:5stems")]),
    Case(
        "HTDemucs, 4 stems",
        "htdemucs",
        htdemucs,
        partial(htdemucs, channels=8, channels_time=8, bottom_channels=32, segment_samples=88200),
    ),
    Case(
        "HDemucs (mmi), 4 stems, segments of 44 s",
        "hdemucs",
        hdemucs,
        partial(hdemucs, channels=8, channels_time=8, segment_samples=88200),
    ),
    Case(
        "Open-Unmix (umxl), 4 stems",
        "openunmix",
        openunmix,
        partial(openunmix, hidden_width=16, recurrent_width=8, n_frames=100),
    ),
    Case("MDX-Net (Kim Vocal 2)", "mdx", partial(mdx, 6144, 3072, 48, 5, 3), partial(mdx, 2048, 512, 4, 1, 1)),
    Case("VR 5.1 (224 MB)", "vr", partial(vr, 218409, "4band_v3_sn"), partial(vr, 17500, "1band_sr44100_hl1024")),
    Case("MDX23C (InstVoc HQ), 2 stems", "mdx23c", mdx23c, partial(mdx23c, n_channels=16, growth=8)),
    Case(
        "SCNet XL IHF, 4 stems",
        "scnet",
        scnet,
        partial(scnet, dims=(4, 8, 12, 16), hidden_widths=(2, 3, 4), segment_samples=88200),
    ),
    Case("Mel-Band RoFormer (Kim)", "roformer", partial(roformer, "mel", 384, 6, 2),
         partial(roformer, "mel", 16, 1, 2, **SMALL)),
    Case("BS-RoFormer (viperx 317)", "roformer", partial(roformer, "bs", 512, 12, 1),
         partial(roformer, "bs", 16, 1, 1, **SMALL)),
)  # fmt: skip


def random_weights(shapes):
    """Arrays of these shapes, at levels that keep signals from fading or growing; variances and gains are one."""
    random = np.random.default_rng(0)
    weights = {}
    for name, shape in shapes.items():
        if len(shape) > 1:
            values = random.standard_normal(shape, np.float32)
            values *= np.float32(math.prod(shape[1:]) ** -0.5)
        elif name.endswith(("weight", "gamma", "running_var", "scale", "freqs", "input_scale", "output_scale")):
            values = np.ones(shape, np.float32)
        else:
            values = 0.1 * random.standard_normal(shape, np.float32)
        weights[name] = values
    return weights


class Run:
    """A network in a folder: written once by `prepare`, then opened by the processes that time it."""

    def __init__(self, case: Case, spec: Any, folder: Path) -> None:
        self.spec, self.folder, self.family = spec, folder, case.family

    @property
    def is_masking(self):
        """Whether it estimates magnitudes, which the families of other people's checkpoints do not."""
        return self.family in ("unet", "bands")

    @property
    def is_network(self):
        """Whether the network alone is run, and not all from samples to samples."""
        return self.is_masking or self.family in ("mdx", "vr")

    @property
    def seconds(self):
        """Of audio in one run."""
        if self.family == "vr":
            return self.spec.n_given_frames * self.spec.bands[-1].hop_length / SAMPLE_RATE
        if self.is_masking:
            return self.spec.n_frames * self.spec.hop_length / SAMPLE_RATE
        return self.spec.segment_samples / SAMPLE_RATE

    @property
    def n_lanes(self):
        """How many runs unweave lets go on at once."""
        if self.is_masking:
            return RUNTIME.n_threads
        return self._package.parallel(RUNTIME) if hasattr(self._package, "parallel") else 1

    @property
    def _package(self):
        return importlib.import_module(f"unweave.families.{self.family}")

    @property
    def _network(self):
        """Where other people's networks lie: in the cache, so that they are run as unweave runs them."""
        return graphs_folder() / "benchmark"

    def prepare(self):
        """Write weights, network and input; returns the operations of one run."""
        from benchmarks.arithmetic import count_operations

        weights = self.folder / WEIGHTS
        if self.is_masking:
            import torch

            from unweave.families.masking import graph_path
            from unweave.families.torch_network import new_network, save_network

            torch.manual_seed(0)
            save_network(new_network(self.spec), self.spec, weights)
            network = graph_path(self.spec, weights)
        else:
            shapes = self.spec.shapes
            arrays = random_weights(shapes() if callable(shapes) else shapes)
            safetensors.numpy.save_file(arrays, weights)
            self._network.mkdir(parents=True)
            self._package.write_network(self.spec, read_tensors(weights).tensors, self._network)
            network = self._network / "network.onnx"
        np.save(self.folder / "input.npy", self._input())
        self.ours()  # ONNX Runtime optimises the graph here, and not in a process that is measured
        sizes = {name: getattr(self.spec, f"n_{name}", 1) for name in ("segments", "frames", "bins")}
        return count_operations(network, sizes)

    def _input(self):
        """Noise at a mean of 0 and a level of 1, which the networks of Demucs bring it to."""
        random, spec = np.random.default_rng(0), self.spec
        if self.is_masking:
            return np.abs(random.standard_normal((2, spec.n_frames, spec.n_bins), np.float32))
        if self.family == "vr":  # a bin more, which the reference cuts off
            return np.abs(random.standard_normal((2, spec.n_bins + 1, spec.n_frames), np.float32))
        if self.family == "mdx":
            return random.standard_normal((4, spec.n_bins, spec.n_frames), np.float32)
        noise = random.standard_normal((2, spec.segment_samples), np.float32)
        mono = noise.mean(axis=0)
        return (noise - mono.mean()) / mono.std()

    def ours(self, runtime=RUNTIME):
        """What runs the network once: input → output."""
        if self.is_masking:
            from unweave.engines.choose import cpu_network
            from unweave.families.masking import graph_path

            return cpu_network(graph_path(self.spec, self.folder / WEIGHTS), runtime).estimate
        return self._action(self._package.open_separator(self.spec, self._network, runtime))

    def twin(self):
        """The same in PyTorch, where there is no other reference."""
        if self.is_masking:
            from unweave.families.torch_network import load_network
            from unweave.families.twins import session

            running = session(load_network(self.spec, self.folder / WEIGHTS), RUNTIME)
            return lambda magnitudes: running.run(magnitudes[None])[0][:, 0]
        return self._action(self._package.open_twin(self.spec, read_tensors(self.folder / WEIGHTS).tensors, RUNTIME))

    def _action(self, separator):
        if self.is_network:
            session, n_bins = separator._network, self.spec.n_bins
            return lambda spectrum: session.run(np.ascontiguousarray(spectrum[None, :, :n_bins]))[0]
        stems = range(len(self.spec.stems))
        if self.family in ("htdemucs", "hdemucs"):
            return lambda segment: separator.separate_alone(segment, stems)
        if self.family == "openunmix":
            return lambda segment: self._package.separate_track(separator, segment, stems)
        return lambda segment: separator.estimate(segment, stems)

"""A RoFormer as an ONNX graph of fixed shapes.

What differs from the training code (all of it exact):

* Bands of one size are computed by one batched product. To bring them side by side, bands are kept sorted by size
  throughout. Only the attention over bands depends on their order, through the angles of its rotary embedding,
  which are sorted in the same way.
* The root mean square norm, attention, rotary embedding and GELU with its bias are ONNX Runtime's own operators.
  The fused attention never stores its scores, which would take 1.3 GB per layer in the best-known checkpoint.
* Each transformer runs on a few bands (over time) or a few frames (over bands) at once, so that intermediate arrays
  stay small; all at once they take 2 GB.
* Masks of a mel model are averaged by gathering, for each bin, the mask of either band that it lies in.
* Weights lie in a file beside the graph (see `GraphWriter`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unweave.families.roformer.spec import NUMBERS_PER_BIN, RoformerSpec
from unweave.families.roformer.writer import GraphWriter

INPUT = "spectrum"  # (frames, 4 · bins): for each bin, channel by channel, real and imaginary part
OUTPUT = "masks"  # (stems, frames, 4 · bins): complex factors in the same order
NETWORK, WEIGHTS = "network.onnx", "network.bin"
# The training code divides by max(‖x‖, 1e-12). ONNX Runtime adds this to the mean square instead, which makes the same
# of silence (zeros) and of anything that can be heard.
NORM_FLOOR = 1e-24
# Tokens (a band at a frame) and bands in one product: as many as keep the widest arrays at about 60 MB.
TOKENS_AT_ONCE = 8192
BANDS_AT_ONCE = 8

Arrays = Mapping[str, npt.NDArray[np.generic]]


def write_graph(spec: RoformerSpec, tensors: Arrays, folder: Path) -> Path:
    """Write `INPUT` → `OUTPUT` as ``network.onnx`` and ``network.bin`` in ``folder``; returns the path of the former.

    ``tensors`` are named as in ``spec.shapes``. One array at a time is in memory.
    """
    path = folder / NETWORK
    with (folder / WEIGHTS).open("wb") as data:
        graph = GraphWriter(data, WEIGHTS)
        _Builder(spec, tensors, graph).build()
        width = NUMBERS_PER_BIN * spec.n_bins
        outputs = {OUTPUT: (len(spec.stems), spec.n_frames, width)}
        graph.save(path, "roformer", {INPUT: (spec.n_frames, width)}, outputs)
    return path


@dataclass(frozen=True)
class _Group:
    """Bands of one size, which lie side by side in the sorted order from ``start`` on."""

    bands: tuple[int, ...]
    size: int  # bins
    start: int

    @property
    def stop(self) -> int:
        return self.start + len(self.bands)


class _Builder:
    def __init__(self, spec: RoformerSpec, tensors: Arrays, graph: GraphWriter) -> None:
        self._spec = spec
        self._tensors = tensors
        self._graph = graph
        self._bands = spec.bands
        self._order = sorted(range(len(self._bands)), key=lambda band: (len(self._bands[band]), band))
        self._groups = list(self._grouped())
        self._rotations: dict[bytes, tuple[str, str]] = {}
        self._weights: dict[str, str] = {}

    def build(self) -> None:
        """All nodes, from `INPUT` to `OUTPUT`."""
        spec, graph = self._spec, self._graph
        n_bands, n_frames = len(self._bands), spec.n_frames
        time_positions, band_positions = np.arange(n_frames), np.array(self._order)
        x = self._split_bands()  # (bands, frames, dim)
        earlier: list[str] = []
        for layer in range(spec.depth):
            if spec.skip_connections:
                for other in earlier:
                    x = graph.add("Add", [x, other])
            x = self._transformer(f"layers.{layer}.0", spec.time_depth, x, n_bands, time_positions)
            x = graph.add("Transpose", [x], perm=[1, 0, 2])
            x = self._transformer(f"layers.{layer}.1", spec.frequency_depth, x, n_frames, band_positions)
            x = graph.add("Transpose", [x], perm=[1, 0, 2])
            earlier.append(x)
        if spec.kind == "bs":
            x = self._norm(x, "final_norm.gamma")
        parts = graph.split_at(x, [len(group.bands) for group in self._groups], axis=0)
        masks = [self._masks(stem, parts) for stem in range(len(spec.stems))]
        graph.add("Concat", masks, OUTPUT, axis=0)

    def _grouped(self) -> Iterator[_Group]:
        start = 0
        for size, members in groupby(self._order, key=lambda band: len(self._bands[band])):
            bands = tuple(members)
            for first in range(0, len(bands), BANDS_AT_ONCE):
                group = _Group(bands[first : first + BANDS_AT_ONCE], size, start)
                yield group
                start = group.stop

    def _array(self, name: str) -> npt.NDArray[np.float32]:
        return np.asarray(self._tensors[name], np.float32)

    def _weight(self, name: str, part: slice | None = None) -> str:
        """The constant of an array, written on its first use; matrices as (inputs, outputs), all outputs or a part."""
        key = f"{name}[{part}]"
        if key not in self._weights:
            array = self._array(name)
            self._weights[key] = self._graph.constant(array[part].T if part else array.T)
        return self._weights[key]

    def _linear(self, x: str, name: str, *, bias: bool) -> str:
        """(…, inputs) → (…, outputs)."""
        x = self._graph.add("MatMul", [x, self._weight(f"{name}.weight")])
        return self._graph.add("Add", [x, self._weight(f"{name}.bias")]) if bias else x

    def _linears(self, x: str, names: Sequence[str], gammas: Sequence[npt.NDArray[np.float32]] = ()) -> str:
        """A linear map for each of the leading axis: (bands, frames, inputs) → (bands, frames, outputs).

        ``gammas`` are factors of the inputs, which go into the weights.
        """
        stack = np.stack([self._array(f"{name}.weight").T for name in names])
        weights = self._graph.constant(stack * np.stack(gammas)[..., None] if gammas else stack)
        biases = self._graph.constant(np.stack([self._array(f"{name}.bias")[None] for name in names]))
        return self._graph.add("Add", [self._graph.add("MatMul", [x, weights]), biases])

    def _norm(self, x: str, name: str) -> str:
        return self._norm_by(x, self._weight(name))

    def _norm_by(self, x: str, gamma: str) -> str:
        """x / ‖x‖ · √d · gamma, which is x over its root mean square, times gamma."""
        return self._graph.add("SimplifiedLayerNormalization", [x, gamma], axis=-1, epsilon=NORM_FLOOR, stash_type=1)

    def _split_bands(self) -> str:
        """`INPUT` → (bands, frames, dim), bands sorted by size."""
        graph, n_frames = self._graph, self._spec.n_frames
        picked = [NUMBERS_PER_BIN * row + k for band in self._order for row in self._bands[band] for k in range(4)]
        x = graph.add("Gather", [INPUT, graph.constant(np.array(picked, np.int64))], axis=1)
        widths = [NUMBERS_PER_BIN * group.size * len(group.bands) for group in self._groups]
        features = []
        for group, part in zip(self._groups, graph.split_at(x, widths, axis=1), strict=True):
            names = [f"band_split.to_features.{band}" for band in group.bands]
            shaped = graph.add("Reshape", [part, graph.shape(n_frames, len(names), NUMBERS_PER_BIN * group.size)])
            normed = self._norm_by(shaped, graph.constant(np.ones(NUMBERS_PER_BIN * group.size, np.float32)))
            turned = graph.add("Transpose", [normed], perm=[1, 0, 2])
            gammas = [self._array(f"{name}.0.gamma") for name in names]
            features.append(self._linears(turned, [f"{name}.1" for name in names], gammas))
        return graph.add("Concat", features, axis=0)

    def _transformer(self, name: str, depth: int, x: str, n_rows: int, positions: npt.NDArray[np.int64]) -> str:
        """(rows, positions, dim) → the same: each row attends along its positions, a few rows at a time."""
        n_at_once = max(1, TOKENS_AT_ONCE // len(positions))
        sizes = [min(n_at_once, n_rows - start) for start in range(0, n_rows, n_at_once)]
        parts = self._graph.split_at(x, sizes, axis=0)
        done = [self._rows(name, depth, part, size, positions) for part, size in zip(parts, sizes, strict=True)]
        return self._graph.add("Concat", done, axis=0) if len(done) > 1 else done[0]

    def _rows(self, name: str, depth: int, x: str, n_rows: int, positions: npt.NDArray[np.int64]) -> str:
        graph = self._graph
        for block in range(depth):
            prefix = f"{name}.layers.{block}"
            x = graph.add("Add", [self._attention(f"{prefix}.0", x, n_rows, positions), x])
            hidden = self._norm(x, f"{prefix}.1.net.0.gamma")
            hidden = self._linear(hidden, f"{prefix}.1.net.1", bias=False)
            hidden = graph.add_own("BiasGelu", [hidden, self._weight(f"{prefix}.1.net.1.bias")])
            x = graph.add("Add", [self._linear(hidden, f"{prefix}.1.net.4", bias=True), x])
        return self._norm(x, f"{name}.norm.gamma") if self._spec.kind == "mel" else x

    def _attention(self, name: str, x: str, n_rows: int, positions: npt.NDArray[np.int64]) -> str:
        spec, graph = self._spec, self._graph
        n_positions, inner = len(positions), spec.n_heads * spec.head_width
        x = self._norm(x, f"{name}.norm.gamma")
        weights = [self._weight(f"{name}.to_qkv.weight", slice(k * inner, (k + 1) * inner)) for k in range(3)]
        query, key, value = (graph.add("MatMul", [x, weight]) for weight in weights)
        rotation = self._rotation(self._array(f"{name}.rotary_embed.freqs"), positions)
        start = graph.constant(np.zeros(1, np.int64))
        query, key = (
            graph.add_own("RotaryEmbedding", [turned, start, *rotation], interleaved=1) for turned in (query, key)
        )
        heard = graph.add_own("MultiHeadAttention", [query, key, value], num_heads=spec.n_heads)
        gates = graph.add("Sigmoid", [self._linear(x, f"{name}.to_gates", bias=True)])
        apart = graph.add("Reshape", [heard, graph.shape(n_rows, n_positions, spec.n_heads, spec.head_width)])
        gates = graph.add("Reshape", [gates, graph.shape(n_rows, n_positions, spec.n_heads, 1)])
        gated = graph.add("Reshape", [graph.add("Mul", [apart, gates]), graph.shape(n_rows, n_positions, inner)])
        return self._linear(gated, f"{name}.to_out.0", bias=False)

    def _rotation(self, frequencies: npt.NDArray[np.float32], positions: npt.NDArray[np.int64]) -> tuple[str, str]:
        """Cosines and sines of the angles (positions, head width / 2), which most layers share."""
        # The angles are rounded to float32 as the training code does: at position 800 that is 3e-5.
        angles = (positions.astype(np.float32)[:, None] * frequencies).astype(np.float64)
        key = angles.tobytes()
        if key not in self._rotations:
            tables = (np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32))
            self._rotations[key] = (self._graph.constant(tables[0]), self._graph.constant(tables[1]))
        return self._rotations[key]

    def _masks(self, stem: int, parts: Sequence[str]) -> str:
        """The masks of one stem (1, frames, 4 · bins) from the bands of each group."""
        graph, n_frames = self._graph, self._spec.n_frames
        masks = []
        for group, x in zip(self._groups, parts, strict=True):
            names = [f"mask_estimators.{stem}.to_freqs.{band}.0" for band in group.bands]
            for step in range(len(self._spec.mask_widths)):
                x = graph.add("Tanh", [self._linears(x, [f"{name}.{2 * step}" for name in names])])
            x = self._linears(x, [f"{name}.{2 * len(self._spec.mask_widths)}" for name in names])
            linear, gate = graph.split_at(x, 2 * [NUMBERS_PER_BIN * group.size], axis=2)
            mask = graph.add("Mul", [linear, graph.add("Sigmoid", [gate])])
            mask = graph.add("Transpose", [mask], perm=[1, 0, 2])
            width = NUMBERS_PER_BIN * group.size * len(group.bands)
            masks.append(graph.add("Reshape", [mask, graph.shape(1, n_frames, width)]))
        return self._to_bins(graph.add("Concat", masks, axis=2))

    def _to_bins(self, masks: str) -> str:
        """Masks in the order of the sorted bands → in the order of the bins, averaged where bands overlap."""
        graph = self._graph
        places: list[list[int]] = [[] for _ in range(self._spec.n_bins)]
        for place, row in enumerate(row for band in self._order for row in self._bands[band]):
            places[row].append(place)
        most = max(map(len, places))
        counts = np.repeat([len(found) for found in places], NUMBERS_PER_BIN)
        total = None
        for turn in range(most):
            rows = np.array([found[min(turn, len(found) - 1)] for found in places])
            picked = (NUMBERS_PER_BIN * rows[:, None] + np.arange(NUMBERS_PER_BIN)).ravel()
            part = graph.add("Gather", [masks, graph.constant(picked.astype(np.int64))], axis=2)
            if most > 1:
                weights = np.where(turn < counts, 1 / counts, 0).astype(np.float32)
                part = graph.add("Mul", [part, graph.constant(weights)])
            total = part if total is None else graph.add("Add", [total, part])
        assert total is not None
        return total

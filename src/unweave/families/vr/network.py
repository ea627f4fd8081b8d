"""The VR networks in PyTorch, for graphics processors: every part is called as in published checkpoints.

Widths are those of the arrays in the checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from unweave.families.vr.spec import VrSpec

Shapes = Mapping[str, tuple[int, ...]]

N_LEVELS_OF_51 = 5
SEPARABLE = {"conv3": 4, "conv4": 8, "conv5": 16, "conv6": 16, "conv7": 16}  # dilations, version 5
DILATED = {"conv3": (4, 2), "conv4": (8, 4), "conv5": (12, 6)}  # bins and frames, version 5.1
POOLED, POINTWISE = "conv1", "conv2"


class Vr(nn.Module):
    """Magnitudes (segments, 2, bins, frames) → masks of the same shape; frames at either end are of no use.

    Load a checkpoint's arrays, those in ``spec.weights``; it lacks the counters of norms.
    """

    def __init__(self, spec: VrSpec) -> None:
        super().__init__()
        shapes = spec.shapes
        self._is_5 = spec.version == "5"
        for name in _children(shapes, ""):
            if name != "out":
                self.add_module(name, _part(shapes, f"{name}.", spec))
        n_out, n_in, *_ = shapes["out.weight"]
        self.out = nn.Conv2d(n_in, n_out, 1, bias=False)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """See the class."""
        middle = magnitudes.shape[2] // 2
        cascade = self._cascade_5 if self._is_5 else self._cascade_51
        return torch.sigmoid(self.out(cascade(magnitudes, magnitudes[:, :, :middle], magnitudes[:, :, middle:])))

    def _cascade_5(self, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        first = torch.cat([self._run("stg1_low_band_net", low), self._run("stg1_high_band_net", high)], dim=2)
        second = self._run("stg2_full_band_net", self._run("stg2_bridge", torch.cat([x, first], dim=1)))
        return self._run("stg3_full_band_net", self._run("stg3_bridge", torch.cat([x, first, second], dim=1)))

    def _cascade_51(self, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        low_1, high_1 = self._run("stg1_low_band_net", low), self._run("stg1_high_band_net", high)
        low_2 = self._run("stg2_low_band_net", torch.cat([low, low_1], dim=1))
        high_2 = self._run("stg2_high_band_net", torch.cat([high, high_1], dim=1))
        halves = [torch.cat([low_1, high_1], dim=2), torch.cat([low_2, high_2], dim=2)]
        return self._run("stg3_full_band_net", torch.cat([x, *halves], dim=1))

    def _run(self, name: str, x: Tensor) -> Tensor:
        result: Tensor = self.get_submodule(name)(x)
        return result


def _part(shapes: Shapes, name: str, spec: VrSpec) -> nn.Module:
    """One network of the cascade, a bridge between two, or both one after the other."""
    if f"{name}conv.0.weight" in shapes:
        return _Conv(shapes, name)
    if f"{name}0.enc1.conv.0.weight" in shapes:
        return nn.Sequential(_Net51(shapes, f"{name}0."), _Conv(shapes, f"{name}1."))
    return _Net5(shapes, name) if spec.version == "5" else _Net51(shapes, name)


class _Conv(nn.Module):
    """A convolution, its norm and an activation."""

    def __init__(
        self, shapes: Shapes, name: str, *, stride: int = 1, dilation: tuple[int, int] = (1, 1), leaky: bool = False
    ) -> None:
        super().__init__()
        n_out, n_in, kernel, _ = shapes[f"{name}conv.0.weight"]
        pad = (kernel // 2 * dilation[0], kernel // 2 * dilation[1])
        convolution = nn.Conv2d(n_in, n_out, kernel, stride, pad, dilation, bias=False)
        self.conv = nn.Sequential(convolution, nn.BatchNorm2d(n_out), nn.LeakyReLU() if leaky else nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(segments, channels, bins, frames) → the same axes."""
        y: Tensor = self.conv(x)
        return y


class _Separable(nn.Module):
    """Each channel by itself, then all at each point."""

    def __init__(self, shapes: Shapes, name: str, dilation: int) -> None:
        super().__init__()
        n_out, n_in, *_ = shapes[f"{name}conv.1.weight"]
        each = nn.Conv2d(n_in, n_in, 3, padding=dilation, dilation=dilation, groups=n_in, bias=False)
        self.conv = nn.Sequential(each, nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(segments, channels, bins, frames) → the same axes."""
        y: Tensor = self.conv(x)
        return y


class _Pyramid(nn.Module):
    """Several convolutions side by side that see more or less of the surroundings."""

    def __init__(self, shapes: Shapes, name: str) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.AdaptiveAvgPool2d((1, None)), _Conv(shapes, f"{name}conv1.1."))
        self.conv2 = _Conv(shapes, f"{name}conv2.")
        self._names = [POOLED, POINTWISE]
        present = _children(shapes, name)
        for part, dilation in DILATED.items():
            if f"{name}{part}.conv.2.weight" not in shapes:  # of 5.1: no norm in the third place
                self.add_module(part, _Conv(shapes, f"{name}{part}.", dilation=dilation))
                self._names.append(part)
        for part, reach in SEPARABLE.items():
            if part in present and part not in self._names:
                self.add_module(part, _Separable(shapes, f"{name}{part}.", reach))
                self._names.append(part)
        if "conv7" in present:
            # Every program that plays these files loads the two into one layer: those of the seventh stay.
            self.conv6 = self.conv7 = self.get_submodule("conv7")
        bottleneck = "bottleneck.0" if f"{name}bottleneck.0.conv.0.weight" in shapes else "bottleneck"
        last = _Conv(shapes, f"{name}{bottleneck}.")
        self.bottleneck = nn.Sequential(last) if bottleneck.endswith("0") else last

    def forward(self, x: Tensor) -> Tensor:
        """(segments, channels, bins, frames) → the same axes."""
        parts = [self.get_submodule(name)(x) for name in self._names]
        parts[0] = parts[0].expand_as(parts[1])
        y: Tensor = self.bottleneck(torch.cat(parts, dim=1))
        return y


class _Steps(nn.Module):
    """Convolutions ``conv1`` and, going down, ``conv2``."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        """All of them in turn."""
        for part in self.children():
            x = part(x)
        return x


class _Net5(nn.Module):
    """A U-Net of version 5, of four or five levels."""

    def __init__(self, shapes: Shapes, name: str) -> None:
        super().__init__()
        self._n_levels = sum(child.startswith("enc") for child in _children(shapes, name))
        for level in range(1, self._n_levels + 1):
            before = _Conv(shapes, f"{name}enc{level}.conv1.", leaky=True)
            down = _Conv(shapes, f"{name}enc{level}.conv2.", stride=2, leaky=True)
            self.add_module(f"enc{level}", _Steps(conv1=before, conv2=down))
        self.aspp = _Pyramid(shapes, f"{name}aspp.")
        for level in range(1, self._n_levels + 1):
            self.add_module(f"dec{level}", _Steps(conv=_Conv(shapes, f"{name}dec{level}.conv.")))

    def forward(self, x: Tensor) -> Tensor:
        """(segments, channels, bins, frames) → the same axes."""
        skips = []
        for level in range(1, self._n_levels + 1):
            skips.append(self.get_submodule(f"enc{level}.conv1")(x))
            x = self.get_submodule(f"enc{level}.conv2")(skips[-1])
        x = self.aspp(x)
        for level in range(self._n_levels, 0, -1):
            x = self.get_submodule(f"dec{level}")(_with_skip(x, skips.pop()))
        return x


class _Net51(nn.Module):
    """A U-Net of version 5.1: the last but one level is also given what a recurrent layer makes of it."""

    def __init__(self, shapes: Shapes, name: str) -> None:
        super().__init__()
        self.enc1 = _Conv(shapes, f"{name}enc1.")
        for level in range(2, N_LEVELS_OF_51 + 1):
            down = _Conv(shapes, f"{name}enc{level}.conv1.", stride=2, leaky=True)
            after = _Conv(shapes, f"{name}enc{level}.conv2.", leaky=True)
            self.add_module(f"enc{level}", _Steps(conv1=down, conv2=after))
        self.aspp = _Pyramid(shapes, f"{name}aspp.")
        for level in range(1, N_LEVELS_OF_51):
            self.add_module(f"dec{level}", _Steps(conv1=_Conv(shapes, f"{name}dec{level}.conv1.")))
        self.lstm_dec2 = _Recurrent(shapes, f"{name}lstm_dec2.")

    def forward(self, x: Tensor) -> Tensor:
        """(segments, channels, bins, frames) → the same axes."""
        skips = [self.enc1(x)]
        for level in range(2, N_LEVELS_OF_51 + 1):
            skips.append(self.get_submodule(f"enc{level}")(skips[-1]))
        x = self.aspp(skips.pop())
        for level in range(N_LEVELS_OF_51 - 1, 1, -1):
            x = self.get_submodule(f"dec{level}")(_with_skip(x, skips.pop()))
        x = torch.cat([x, self.lstm_dec2(x)], dim=1)
        result: Tensor = self.get_submodule("dec1")(_with_skip(x, skips.pop()))
        return result


class _Recurrent(nn.Module):
    """One channel, by a recurrent layer over time."""

    def __init__(self, shapes: Shapes, name: str) -> None:
        super().__init__()
        n_bins, width = shapes[f"{name}dense.0.weight"][0], shapes[f"{name}lstm.weight_hh_l0"][1]
        self.conv = _Conv(shapes, f"{name}conv.")
        self.lstm = nn.LSTM(n_bins, width, bidirectional=True)
        self.dense = nn.Sequential(nn.Linear(2 * width, n_bins), nn.BatchNorm1d(n_bins), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(segments, channels, bins, frames) → (segments, 1, bins, frames)."""
        heard, _ = self.lstm(self.conv(x)[:, 0].permute(2, 0, 1))  # (frames, segments, 2 · width)
        rows: Tensor = self.dense(heard.flatten(0, 1)).unflatten(0, heard.shape[:2])
        return rows.permute(1, 2, 0)[:, None]


def _with_skip(x: Tensor, skip: Tensor) -> Tensor:
    """``x`` at twice the size, and the middle of ``skip``."""
    wide = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
    first = (skip.shape[3] - wide.shape[3]) // 2
    return torch.cat([wide, skip[..., first : first + wide.shape[3]]], dim=1)


def _children(shapes: Shapes, name: str) -> list[str]:
    """What follows ``name`` in the names of arrays, up to the next dot."""
    found = (key[len(name) :].split(".", 1)[0] for key in shapes if key.startswith(name))
    return list(dict.fromkeys(found))

"""The network of Open-Unmix for one stem in PyTorch: every part is called as in published checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unweave.families.openunmix.spec import OpenUnmixSpec


class OpenUnmix(nn.Module):
    """Magnitudes of the mixture (frames, channels, bins) → those of the stem. Load checkpoints with ``strict=True``."""

    def __init__(self, spec: OpenUnmixSpec) -> None:
        super().__init__()
        hidden, width = spec.hidden_width, spec.recurrent_width
        n_out = spec.n_channels * spec.n_bins
        self.n_input_bins = spec.n_input_bins
        self.input_mean = nn.Parameter(torch.zeros(spec.n_input_bins))
        self.input_scale = nn.Parameter(torch.ones(spec.n_input_bins))
        self.fc1 = nn.Linear(spec.n_channels * spec.n_input_bins, hidden, bias=False)
        self.bn1 = nn.BatchNorm1d(hidden)
        self.lstm = nn.LSTM(hidden, width, spec.n_recurrent, bidirectional=spec.is_bidirectional)
        self.fc2 = nn.Linear(hidden + width * (1 + spec.is_bidirectional), hidden, bias=False)
        self.bn2 = nn.BatchNorm1d(hidden)
        self.fc3 = nn.Linear(hidden, n_out, bias=False)
        self.bn3 = nn.BatchNorm1d(n_out)
        self.output_scale = nn.Parameter(torch.ones(spec.n_bins))
        self.output_mean = nn.Parameter(torch.ones(spec.n_bins))

    def forward(self, magnitudes: Tensor) -> Tensor:
        """See the class."""
        x = (magnitudes[..., : self.n_input_bins] + self.input_mean) * self.input_scale
        x = torch.tanh(self.bn1(self.fc1(x.flatten(1))))
        x = torch.cat([x, self.lstm(x)[0]], dim=-1)
        x = torch.relu(self.bn2(self.fc2(x)))
        x = self.bn3(self.fc3(x)).view_as(magnitudes)
        return torch.relu(x * self.output_scale + self.output_mean) * magnitudes


class Together(nn.Module):
    """The networks of all stems: magnitudes (frames, channels, bins) → (stems, frames, channels, bins)."""

    def __init__(self, networks: Sequence[OpenUnmix]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """See the class."""
        return torch.stack([network(magnitudes) for network in self.networks])

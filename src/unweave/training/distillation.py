"""What one network learns from another's estimates, beside the truth.

The knowledge of an ensemble fits into one network when that one learns from the ensemble's answers too, which also say
what is hard to tell apart (G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural network",
arXiv 1503.02531).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from unweave.errors import OptionError
from unweave.families.torch_network import load_network
from unweave.models.resolve import resolve
from unweave.models.spec import MaskModelSpec
from unweave.models.validate import frame_grid
from unweave.training.losses import EPSILON, Estimate, Truth, weighted_loss
from unweave.training.plan import DistillationPlan, LossName

SHARED = ("stems", "sample_rate", "n_channels", "n_fft", "hop_length", "n_bins")  # by teacher and learner


@dataclass(frozen=True)
class Taught(Truth):
    """A teacher's estimates in the place of the true stems."""

    magnitudes: Tensor = field(kw_only=True)  # (stems, segments, channels, frames, bins)
    of: Truth = field(kw_only=True)  # the truth that has the mixture which the teacher heard

    @cached_property
    def spectra(self) -> Tensor:
        """The estimates' spectra, with the mixture's phase."""
        return self.magnitudes / self.mixture.clamp_min(EPSILON) * self.mixture_spectrum

    @cached_property
    def mixture_spectrum(self) -> Tensor:
        """(segments, channels, frames, bins)."""
        return self.of.mixture_spectrum

    @cached_property
    def mixture(self) -> Tensor:
        """Its magnitudes."""
        return self.of.mixture

    @cached_property
    def in_phase(self) -> Tensor:
        """The estimates themselves: they have the mixture's phase."""
        return self.magnitudes

    @cached_property
    def parts(self) -> Tensor:
        """The estimates' waveforms without the ends of the segment."""
        return Estimate(self.of, self.magnitudes).waveforms


class Teacher:
    """A trained model whose estimates another one learns."""

    def __init__(
        self, plan: DistillationPlan, learner: MaskModelSpec, n_frames: int, device: torch.device, compile: bool
    ) -> None:
        """Load the teacher.

        Raises `OptionError` if ``learner`` has other stems or another transform than it, or if segments of ``n_frames``
        are none for it.
        """
        model = resolve(plan.teacher)
        spec = model.spec
        if not isinstance(spec, MaskModelSpec):
            raise OptionError(f"{plan.teacher} cannot be the teacher: it has no masks")
        for name in SHARED:
            if getattr(spec, name) != getattr(learner, name):
                raise OptionError(
                    f"{plan.teacher} cannot teach this model: its {name} is {getattr(spec, name)}, "
                    f"and the model's {getattr(learner, name)}"
                )
        grid = frame_grid(spec)
        if n_frames % grid:
            raise OptionError(f"data.segment_frames must be a multiple of {grid} for {plan.teacher}, got {n_frames}")
        network = load_network(spec, model.locate(False, lambda done, total, label: None)).to(device)
        network = network.to(memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload]
        self._compute: nn.Module = torch.compile(network) if compile else network  # type: ignore[assignment]
        self._share = plan.share

    def estimates(self, mixture: Tensor) -> Tensor:
        """Magnitudes (segments, channels, frames, bins) → (stems, …), without gradients."""
        with torch.no_grad():
            estimates: Tensor = self._compute(mixture.to(memory_format=torch.channels_last)).float()
        return estimates

    def mixed_loss(self, estimate: Estimate, taught: Tensor, weights: dict[LossName, float]) -> Tensor:
        """The loss against the truth and that against the ``taught`` magnitudes, by the plan's share."""
        truth = estimate.truth
        target = Taught(truth.transform, truth.waveforms, truth.call, magnitudes=taught, of=truth)
        from_teacher = weighted_loss(replace(estimate, truth=target), weights)
        if self._share == 1:
            return from_teacher
        return self._share * from_teacher + (1 - self._share) * weighted_loss(estimate, weights)

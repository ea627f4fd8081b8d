"""The PyTorch module of any masking model: new, or with its weights from files; and its files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unweave.errors import CheckpointError, ModelError
from unweave.families.bands.network import BandNet
from unweave.families.folding import groups_of
from unweave.families.unet.files import export_onnx, export_safetensors
from unweave.families.unet.network import UNets, unets_from_weights, unets_to_weights
from unweave.families.unet.path import load_unets
from unweave.models.export import write_graph, write_safetensors
from unweave.models.spec import MaskModelSpec


def new_network(spec: MaskModelSpec) -> nn.Module:
    """The network of ``spec`` with fresh weights: magnitudes (segments, channels, frames, bins) → (stems, …)."""
    if spec.network == "unets":
        return UNets(spec)
    return BandNet(spec) if spec.ensemble == 1 else Ensemble([BandNet(spec) for _ in range(spec.ensemble)])


def load_network(spec: MaskModelSpec, location: Path) -> nn.Module:
    """The network of ``spec`` with the weights at ``location``, in evaluation mode.

    ``location`` is what `unweave.families.unet.path.network_path` takes; for an ``.onnx`` file the ``.safetensors``
    file beside it is read. Raises `ModelError`, or `CheckpointError` for damaged or foreign weights.
    """
    if location.suffix == ".onnx":
        location = location.with_suffix(".safetensors")
        if not location.is_file():
            raise ModelError(f"{location} is needed to run {spec.name} in PyTorch")
    if spec.folds:
        whole = replace(spec, stems=spec.network_stems, network_stems=(), folds=())
        return Folded(load_network(whole, location), groups_of(spec)).eval()
    if spec.is_classic:
        return unets_from_weights(load_unets(spec, location), spec)
    import safetensors
    import safetensors.torch

    network = new_network(spec)
    try:
        network.load_state_dict({name: t.float() for name, t in safetensors.torch.load_file(location).items()})
    except RuntimeError as error:  # which PyTorch tells tensor by tensor
        raise CheckpointError(
            f"{location} does not contain the weights of {spec.name}, but those of another network"
        ) from error
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{location} does not contain the weights of {spec.name}: {error}") from error
    return network.eval()


def with_time_attention(network: nn.Module, spec: MaskModelSpec) -> nn.Module:
    """The network of ``spec`` with attention over time; where it had none, that changes nothing until it is trained."""
    if spec.time_attention:
        return network
    if spec.network != "bands":
        raise ModelError(f"{spec.name} cannot have attention over time: its network does not split bands")
    attending = new_network(replace(spec, time_attention=True))
    attending.load_state_dict(network.state_dict(), strict=False)
    return attending.train(network.training)


class Ensemble(nn.Module):
    """Networks that were trained apart: what each gets wrong in its own way, their mean gets less wrong."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (segments, channels, frames, bins) → (stems, …), the mean of all networks' estimates."""
        estimates = [network(magnitudes) for network in self.networks]
        total: Tensor = sum(estimates[1:], estimates[0])
        return total / len(estimates)


class Folded(nn.Module):
    """A network some of whose stems are added up."""

    def __init__(self, network: nn.Module, groups: list[list[int]]) -> None:
        super().__init__()
        self._network = network
        self._groups = groups

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (segments, channels, frames, bins) → (stems, …)."""
        estimates = self._network(magnitudes)
        return torch.stack([estimates[group].sum(0) for group in self._groups])


def save_network(network: nn.Module, spec: MaskModelSpec, path: Path) -> None:
    """Write the weights of ``network``, with its description, as a ``.safetensors`` file."""
    if isinstance(network, UNets) and spec.is_classic:
        export_safetensors(unets_to_weights(network), spec, path)
        return
    import safetensors.torch

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_safetensors(lambda metadata: safetensors.torch.save(tensors, metadata=metadata), spec, path)


def save_onnx(network: nn.Module, spec: MaskModelSpec, path: Path, *, norms_apart: bool = False) -> None:
    """Write ``network`` as ONNX: one segment of magnitudes (1, channels, frames, bins) → (stems, 1, …).

    With ``norms_apart`` the graph has every weight as the network has it. Otherwise batch norms are multiplied into
    weights, whose values then are no longer those that were rounded to half precision.
    """
    if isinstance(network, UNets) and spec.is_classic:
        export_onnx(unets_to_weights(network), spec, path)
    elif spec.network == "bands" and not norms_apart:
        from unweave.families.bands.graph import build_graph

        tensors = {name: tensor.detach().cpu().float().numpy() for name, tensor in network.state_dict().items()}
        write_graph(build_graph(tensors, spec), spec, path)
    else:
        write_graph(_exported(network, spec, norms_apart=norms_apart), spec, path)


def _exported(network: nn.Module, spec: MaskModelSpec, *, norms_apart: bool) -> Any:
    """As PyTorch writes it: for options that our own graphs lack, and for weights to be rounded."""
    example = torch.zeros(1, spec.n_channels, spec.n_frames, spec.n_bins)
    network = network.cpu().float().eval()
    program: Any
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's, about itself
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=["magnitudes"],
            output_names=["estimates"],
            optimize=not norms_apart,
        )
    if norms_apart:
        _simplify(program.model)
    model = program.model_proto
    _forget_origins(model.graph)
    return model


def _simplify(model: Any) -> None:
    """What the exporter does to a graph, but for its rewriting of weights."""
    from onnxscript import optimizer
    from onnxscript.ir.passes import common

    optimizer.inline(model)
    optimizer.fold_constants(model, onnx_shape_inference=True)
    for tidy in (common.LiftConstantsToInitializersPass(), common.CommonSubexpressionEliminationPass()):
        tidy(model)
    optimizer.remove_unused_nodes(model)


def _forget_origins(graph: Any) -> None:
    """Drop the exporter's notes on the Python lines that each node comes from."""
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]


def count_operations(network: nn.Module, spec: MaskModelSpec) -> float:
    """Floating-point operations per second of audio; a multiplication with its addition counts as two."""
    from torch.utils.flop_counter import FlopCounterMode

    was_training = network.training
    segment: Tensor = torch.zeros(1, spec.n_channels, spec.n_frames, spec.n_bins, device=_device(network))
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.eval()(segment)
    network.train(was_training)
    return float(counter.get_total_flops()) * spec.sample_rate / (spec.n_frames * spec.hop_length)


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device

"""MDX-Net: the ONNX files that Ultimate Vocal Remover made known."""

from __future__ import annotations

from pathlib import Path

from unweave.engines.choose import Runtime, require_torch_device
from unweave.errors import OptionError
from unweave.families.mdx.recipe import MdxSeparator, separate_track
from unweave.families.mdx.recognise import recognise
from unweave.families.mdx.spec import FORMAT_VERSION, NETWORK, MdxSpec
from unweave.models.checkpoints import Tensors

Spec = MdxSpec

__all__ = ["FORMAT_VERSION", "MdxSpec", "Spec", "open_separator", "recognise", "separate_track", "write_network"]


def write_network(spec: MdxSpec, tensors: Tensors, folder: Path) -> None:
    """Write ``network.onnx`` in ``folder``: the file that was recognised, with fixed shapes."""
    from unweave.families.mdx.graph import write_graph  # `onnx` takes 0.14 s to import

    write_graph(spec, tensors, folder)


def open_separator(spec: MdxSpec, folder: Path, runtime: Runtime) -> MdxSeparator:
    """The network that `write_network` left in ``folder``, ready to separate segments.

    On a graphics processor it runs in float32 unless another precision is asked for: products of its levels may become
    larger than float16 can hold. Raises `OptionError` where the device or the precision is not to be had.
    """
    runtime = runtime.on_best_device()
    if runtime.device == "cpu":
        if not runtime.is_float32_on_cpu:
            raise OptionError(f"{spec.name} only runs on the CPU in float32, not in {runtime.precision}")
        from unweave.engines.onnx import OnnxSession

        return MdxSeparator(spec, OnnxSession(folder / NETWORK, runtime.n_threads))
    require_torch_device(runtime.device)
    import onnx

    from unweave.engines.torch_session import TorchSession
    from unweave.families.mdx.network import GraphNetwork

    network = GraphNetwork(onnx.load_model(folder / NETWORK))
    precision = "float32" if runtime.precision == "auto" else runtime.precision
    return MdxSeparator(spec, TorchSession(network, runtime.device, precision))

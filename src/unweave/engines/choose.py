"""Which engine runs a model: by the device, the precision, and what is installed."""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path

from unweave.engines.base import HybridNetwork, Network
from unweave.engines.cascade import CascadeNetwork
from unweave.errors import OptionError
from unweave.models.network import network_path
from unweave.models.spec import MaskModelSpec

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "float16", "bfloat16")


Located = tuple[MaskModelSpec, Path]  # a model and the place of its weights


def load_network(
    spec: MaskModelSpec,
    location: Path,
    *,
    device: str,
    precision: str,
    n_threads: int,
    before: Located | None = None,
) -> Network:
    """The networks of ``spec``, loaded from ``location`` and ready on ``device``, after those of ``before``.

    On the CPU that is ONNX Runtime in float32, or OpenVINO in another precision; on a graphics processor PyTorch, in
    float16 unless ``precision`` says otherwise. Raises `OptionError` for a device or a precision that is not to be had
    here, with what to install.
    """
    if device.partition(":")[0] not in DEVICES:
        raise OptionError(f"expected a device of {', '.join(DEVICES)}, got {device!r}")
    if precision not in PRECISIONS:
        raise OptionError(f"expected a precision of {', '.join(PRECISIONS)}, got {precision!r}")
    if device == "auto":
        device = _best_device()
    if device == "cpu":
        network = _on_cpu(network_path(spec, location), precision, n_threads)
        if before is None:
            return network
        first_spec, first_location = before
        first = _on_cpu(network_path(first_spec, first_location), precision, n_threads)
        return CascadeNetwork(first, network, first_spec.mask_exponent)
    if importlib.util.find_spec("torch") is None:
        raise OptionError(f"device {device} needs: pip install 'unweave[gpu]'")
    from unweave.engines.torch import TorchSeparator, has_device
    from unweave.models.torch_network import load_network as load_torch_network

    if not has_device(device):
        raise OptionError(f"there is no device {device} here, or PyTorch was installed without it")
    module = load_torch_network(spec, location)
    if before is not None:
        from unweave.models.cascade import Cascade

        module = Cascade(load_torch_network(*before), module, before[0].mask_exponent)
    return TorchSeparator(spec, module, device, "float16" if precision == "auto" else precision)


def _on_cpu(path: Path, precision: str, n_threads: int) -> Network:
    if precision in ("auto", "float32"):
        from unweave.engines.onnx import OnnxNetwork

        return OnnxNetwork(path)
    from unweave.engines.openvino import OpenVinoNetwork

    return OpenVinoNetwork(path, n_threads, precision)


def load_hybrid_network(path: Path, n_threads: int) -> HybridNetwork:
    """The hybrid waveform network in the ONNX file ``path``, on the CPU."""
    from unweave.engines.onnx import OnnxHybridNetwork

    return OnnxHybridNetwork(path, n_threads)


def _best_device() -> str:
    """A graphics processor if there is one and PyTorch can use it; PyTorch is not imported where there cannot be."""
    if importlib.util.find_spec("torch") is None or not _may_have_accelerator():
        return "cpu"
    from unweave.engines.torch import available_device

    return available_device("auto")


def _may_have_accelerator() -> bool:
    if platform.system() == "Linux":
        return Path("/proc/driver/nvidia").exists() or Path("/dev/nvidia0").exists() or Path("/dev/dxg").exists()
    return True

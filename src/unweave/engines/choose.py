"""What a model runs on: device, precision and threads, checked before anything is loaded."""

from __future__ import annotations

import importlib.util
import platform
from dataclasses import dataclass
from pathlib import Path

from unweave.engines.base import Network, Session
from unweave.engines.processors import available_processors
from unweave.errors import OptionError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "float16", "bfloat16")
PLAIN = ("auto", "float32")  # on the CPU


@dataclass(frozen=True)
class Runtime:
    """Where and how networks run.

    ``device`` is cpu, cuda (or one particular card, such as cuda:1), mps, or auto, which uses a graphics card if
    PyTorch can use one. ``precision`` is float32, float16 (graphics cards only), bfloat16, or auto, which means float32
    on the CPU and float16 elsewhere. Raises `OptionError` for anything else.
    """

    device: str = "auto"
    precision: str = "auto"
    n_threads: int = 0  # 0: as many as this process may use

    def __post_init__(self) -> None:
        kind, colon, number = self.device.partition(":")
        highest = {"cuda": 1 << 10, "mps": 1, "cpu": 1}.get(kind, 0)  # only CUDA has several
        if kind not in DEVICES or (colon and not (number.isascii() and number.isdigit() and int(number) < highest)):
            raise OptionError(f"expected one of the devices {', '.join(DEVICES)} or cuda:1, got {self.device!r}")
        if self.precision not in PRECISIONS:
            raise OptionError(f"expected one of the precisions {', '.join(PRECISIONS)}, got {self.precision!r}")
        if kind in ("cpu", "mps"):
            object.__setattr__(self, "device", kind)
        if self.n_threads == 0:
            object.__setattr__(self, "n_threads", available_processors())

    def on_best_device(self) -> Runtime:
        """This runtime with ``auto`` decided. PyTorch is not imported if there cannot be a graphics card."""
        return Runtime(_best_device(), self.precision, self.n_threads) if self.device == "auto" else self


def require_runtime(runtime: Runtime) -> None:
    """Raise `OptionError` for a graphics card that is not there, or a precision that needs what is not installed."""
    runtime = runtime.on_best_device()
    if runtime.device != "cpu":
        require_torch_device(runtime.device)
    elif runtime.precision == "float16":
        raise OptionError("precision float16 is for graphics cards; on the CPU take bfloat16")
    elif runtime.precision not in PLAIN and importlib.util.find_spec("openvino") is None:
        raise needs_openvino(runtime.precision)


def needs_openvino(precision: str) -> OptionError:
    """What to say where OpenVINO is not installed, or not all of it."""
    return OptionError(f'precision {precision} on the CPU needs: pip install "unweave[openvino]"')


def cpu_session(path: Path, runtime: Runtime, n_at_once: int = 1) -> Session:
    """Any network in the ONNX file ``path`` on the CPU, as `cpu_network`.

    ONNX Runtime may compute ``n_at_once`` inputs at the same time, each on its share of the threads.
    """
    if runtime.precision in PLAIN:
        from unweave.engines.onnx import OnnxSession

        return OnnxSession(path, max(1, runtime.n_threads // n_at_once), n_at_once)
    from unweave.engines.openvino import OpenVinoSession

    return OpenVinoSession(path, runtime.n_threads, runtime.precision)


def cpu_network(path: Path, runtime: Runtime) -> Network:
    """The network in the ONNX file ``path`` on the CPU, with ONNX Runtime in float32, otherwise with OpenVINO."""
    if runtime.precision in PLAIN:
        from unweave.engines.onnx import OnnxNetwork

        return OnnxNetwork(path)
    from unweave.engines.openvino import OpenVinoNetwork

    return OpenVinoNetwork(path, runtime.n_threads, runtime.precision)


def require_torch_device(device: str) -> None:
    """Raise `OptionError` if PyTorch or the graphics card ``device`` is not available."""
    if importlib.util.find_spec("torch") is None:
        raise OptionError(f'device {device} needs: pip install "unweave[gpu]"')
    from unweave.engines.torch import has_device

    if not has_device(device):
        raise OptionError(f"there is no device {device} here, or PyTorch was installed without support for it")


def _best_device() -> str:
    if importlib.util.find_spec("torch") is None or not _may_have_accelerator():
        return "cpu"
    from unweave.engines.torch import available_device

    return available_device("auto")


def _may_have_accelerator() -> bool:
    if platform.system() == "Linux":
        return Path("/proc/driver/nvidia").exists() or Path("/dev/nvidia0").exists() or Path("/dev/dxg").exists()
    return True

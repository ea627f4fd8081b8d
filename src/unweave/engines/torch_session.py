"""Any network in PyTorch: arrays in, arrays out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from unweave.engines.lack_of_memory import lack_of_memory_told
from unweave.engines.torch import DTYPES


class TorchSession:
    """A network on one device, the twin of `unweave.engines.onnx.OnnxSession`.

    Its weights stay in float32. With ``precision`` float16 or bfloat16 PyTorch computes in it whatever it holds to be
    safe. May be called from several threads at once.
    """

    def __init__(self, network: nn.Module, device: str, precision: str = "float32") -> None:
        self._device = torch.device(device)
        self._dtype = DTYPES[precision]
        with lack_of_memory_told():
            self._network = network.eval().to(self._device)

    def run(self, *arrays: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """All outputs of the network for the inputs."""
        is_mixed = self._dtype != torch.float32
        with (
            lack_of_memory_told(),
            torch.inference_mode(),
            torch.autocast(self._device.type, self._dtype, enabled=is_mixed),
        ):
            outputs = self._network(
                *(torch.from_numpy(np.ascontiguousarray(array)).to(self._device) for array in arrays)
            )
            given = outputs if isinstance(outputs, tuple | list) else (outputs,)
            return [output.float().cpu().numpy() for output in given]

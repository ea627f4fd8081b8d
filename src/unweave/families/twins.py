"""Networks in PyTorch under the names of checkpoints, ready to run on a graphics processor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from unweave.engines.choose import Runtime
from unweave.engines.torch_session import TorchSession
from unweave.errors import CheckpointError

Module = TypeVar("Module", bound=nn.Module)


def with_arrays(network: Module, arrays: Mapping[str, Any], names: Iterable[str], name: str) -> Module:
    """``network`` with the arrays called ``names``, in evaluation mode.

    Raises `CheckpointError` where they are not those of the network, but for what counts the batches of norms.
    """
    try:
        state = {key: torch.from_numpy(np.array(arrays[key], np.float32)) for key in names}
        missing, unexpected = network.load_state_dict(state, strict=False)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"the arrays of {name} are not those of its network: {error}") from error
    lacking = [key for key in missing if not key.endswith("num_batches_tracked")]
    if lacking or unexpected:
        raise CheckpointError(f"the arrays of {name} are not those of its network: {(lacking or unexpected)[0]}")
    return network.eval()


def session(network: nn.Module, runtime: Runtime) -> TorchSession:
    """``network`` on the device of ``runtime``, in float32 unless another precision is asked for.

    Published networks were made for float32: products of their levels may become larger than float16 can hold.
    """
    return TorchSession(network, runtime.device, "float32" if runtime.precision == "auto" else runtime.precision)

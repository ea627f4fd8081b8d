"""ONNX Runtime: the default engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from unweave.errors import ModelError
from unweave.types import Magnitude


class OnnxNetwork:
    """A network in an ONNX file, run on the CPU by the calling thread alone.

    Throughput comes from calling it in several threads at once, one per core, which beats one session that splits each
    operation over the cores (``docs/performance.md``); the weights are shared. Raises `ModelError` for a file that
    ONNX Runtime does not take.
    """

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # 75 MB less for the same speed
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            raise ModelError(f"ONNX Runtime cannot load {path}: {error}") from error
        self._input = self._session.get_inputs()[0].name

    def estimate(self, mixture: Magnitude) -> npt.NDArray[np.float32]:
        """See `unweave.engines.base.Network`."""
        estimates: npt.NDArray[np.float32] = self._session.run(None, {self._input: mixture[None]})[0]
        return estimates[:, 0]

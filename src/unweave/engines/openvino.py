"""OpenVINO: networks in bfloat16 on processors that have matrix units for it (AMX, AVX-512 BF16)."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unweave.errors import ModelError, OptionError
from unweave.types import Magnitude

PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


class OpenVinoNetwork:
    """A network in an ONNX file, computed with ``precision`` on ``n_threads`` cores, one segment at a time.

    Several inferences at once were faster, and once in many runs waited for each other for ever.

    In bfloat16 stems differ from those in float32 by −46 to −62 dB of the mixture (``docs/performance.md``), and the
    networks run five times faster where the processor multiplies matrices in it; elsewhere nothing is gained. Raises
    `ModelError` for a file that OpenVINO does not take and `OptionError` where it is not installed.
    """

    def __init__(self, path: Path, n_threads: int, precision: str) -> None:
        try:
            import openvino
        except ImportError as error:
            raise OptionError(f"precision {precision} on the CPU needs: pip install 'unweave[openvino]'") from error
        settings = {
            "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
            "INFERENCE_NUM_THREADS": n_threads,
            "NUM_STREAMS": 1,
        }
        self._core = openvino.Core()
        self._settings = settings
        try:
            self._model = self._core.read_model(str(path))
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot load {path}: {error}") from error
        self._request: openvino.InferRequest | None = None
        self._turn = threading.Lock()

    def estimate(self, mixture: Magnitude) -> npt.NDArray[np.float32]:
        """See `unweave.engines.base.Network`."""
        with self._turn:
            if self._request is None:
                self._model.reshape([1, *mixture.shape])
                compiled = self._core.compile_model(self._model, "CPU", self._settings)
                self._request = compiled.create_infer_request()
            estimates: npt.NDArray[np.float32] = self._request.infer({0: mixture[None]})[0]
            return estimates[:, 0].copy()

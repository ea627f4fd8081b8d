"""OpenVINO: networks in bfloat16 on processors that have matrix units for it (AMX, AVX-512 BF16)."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

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
            openvino = _openvino()
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
        self._request: Any = None
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


def _openvino() -> Any:
    """The module, imported without its telemetry.

    ``import openvino`` reports the import to Google Analytics by the package ``openvino-telemetry`` unless that cannot
    be imported. No environment variable prevents it; the opt-out is a file in the user's home, which is not ours to
    write.
    """
    name = "openvino_telemetry"
    if name in sys.modules:  # imported by the program that uses us, which has decided for itself
        import openvino

        return openvino
    sys.modules[name] = None  # type: ignore[assignment]  # makes `import openvino_telemetry` an ImportError
    try:
        import openvino
    finally:
        del sys.modules[name]
    return openvino

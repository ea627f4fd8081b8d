"""OpenVINO: networks in bfloat16 on processors that have matrix units for it (AMX, AVX-512 BF16)."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unweave.errors import ModelError, OptionError
from unweave.forks import after_fork
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
        self._openvino, self._path = openvino, path
        self._settings = {
            "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
            "INFERENCE_NUM_THREADS": n_threads,
            "NUM_STREAMS": 1,
        }
        self._turn = threading.Lock()
        self._open()
        after_fork(self._renew_lock)

    def _open(self) -> None:
        self._core = self._openvino.Core()
        try:
            model = self._core.read_model(str(self._path))
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot load {self._path}: {error}") from error
        frames = model.input(0).get_partial_shape()[2]
        self.n_frames = frames.get_length() if frames.is_static else None
        self._requests: dict[tuple[int, ...], Any] = {}
        self._process = os.getpid()

    def _renew_lock(self) -> None:
        self._turn = threading.Lock()

    def estimate(self, mixture: Magnitude) -> npt.NDArray[np.float32]:
        """See `unweave.engines.base.Network`."""
        with self._turn:
            if self._process != os.getpid():
                if self._requests:  # its threads are gone, and it aborts the process when it misses them
                    raise OptionError(
                        "OpenVINO cannot be used in a process that was forked after its first use: start processes "
                        "with 'spawn', or use precision float32"
                    )
                self._open()
            request = self._requests.get(mixture.shape) or self._compile(mixture.shape)
            estimates: npt.NDArray[np.float32] = request.infer({0: mixture[None]})[0]
            return estimates[:, 0].copy()

    def _compile(self, shape: tuple[int, ...]) -> Any:
        model = self._core.read_model(str(self._path))
        if self.n_frames is None:
            model.reshape([1, *shape])
        request = self._core.compile_model(model, "CPU", self._settings).create_infer_request()
        self._requests[shape] = request
        return request


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

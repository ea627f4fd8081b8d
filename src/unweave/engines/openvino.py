"""OpenVINO: networks in bfloat16 on processors that have matrix units for it (AMX, AVX-512 BF16)."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unweave.engines.choose import needs_openvino
from unweave.engines.denormals import without_denormals
from unweave.errors import ModelError, OptionError
from unweave.forks import after_fork
from unweave.types import Magnitude

PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}  # float16 is slower here, and its numbers may be too large for it


class OpenVinoSession:
    """A network in an ONNX file, computed with ``precision`` on ``n_threads`` cores, one run at a time.

    Several runs at once were faster, and once in many waited for each other for ever. Where the processor multiplies
    matrices in bfloat16, many networks run two to four times as fast as in float32; elsewhere nothing is gained
    (``docs/performance.md``). Raises `ModelError` for a file that OpenVINO does not take and `OptionError` where it is
    not installed.
    """

    def __init__(self, path: Path, n_threads: int, precision: str) -> None:
        try:
            self._openvino = _openvino()
            from unweave.engines.openvino_operators import extensions
        except ImportError as error:  # also what an installation leaves behind that was removed or broken off
            raise needs_openvino(precision) from error
        self._path, self._extensions = path, extensions
        self._settings = {
            "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
            "INFERENCE_NUM_THREADS": n_threads,
            "NUM_STREAMS": 1,
            "CPU_DENORMALS_OPTIMIZATION": True,
        }
        self._turn = threading.Lock()
        self._open()
        after_fork(self._renew_lock)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """That of the first input; None for a size which each run may choose."""
        return self._input_shape

    def run(self, *arrays: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """All outputs, in the order of the file, for all inputs in theirs."""
        with self._turn:
            if self._process != os.getpid():
                if self._requests:  # its threads are gone, and it aborts the process when it misses them
                    raise OptionError(
                        "OpenVINO cannot be used in a process that was forked after its first use: start processes "
                        "with 'spawn', or use precision float32"
                    )
                self._open()
            shapes = tuple(array.shape for array in arrays)
            with without_denormals():  # OpenVINO would change the thread that compiles for good
                request = self._requests.get(shapes) or self._compile(shapes)
                results = request.infer([np.ascontiguousarray(array) for array in arrays])
            return [np.array(results[index], np.float32) for index in range(len(results))]

    def _open(self) -> None:
        self._core = self._openvino.Core()
        self._core.add_extension(self._extensions())
        self._unused = self._read()  # what is read to know the shape is compiled, too: reading takes a while
        shape = self._unused.input(0).get_partial_shape()
        self._input_shape = tuple(size.get_length() if size.is_static else None for size in shape)
        self._requests: dict[tuple[tuple[int, ...], ...], Any] = {}
        self._process = os.getpid()

    def _read(self) -> Any:
        try:
            return self._core.read_model(str(self._path))
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot load {self._path}: {error}") from error

    def _compile(self, shapes: Sequence[tuple[int, ...]]) -> Any:
        model, self._unused = self._unused or self._read(), None
        try:
            if model.is_dynamic():
                model.reshape({model.input(index): list(shape) for index, shape in enumerate(shapes)})
            request = self._core.compile_model(model, "CPU", self._settings).create_infer_request()
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot run {self._path}: {error}") from error
        self._requests[tuple(shapes)] = request
        return request

    def _renew_lock(self) -> None:
        self._turn = threading.Lock()


class OpenVinoNetwork:
    """The networks of a masking model as an `OpenVinoSession`; the arguments and errors are its.

    In bfloat16 stems differ from those in float32 by −46 to −62 dB of the mixture (``docs/performance.md``).
    """

    def __init__(self, path: Path, n_threads: int, precision: str) -> None:
        self._session = OpenVinoSession(path, n_threads, precision)
        self.n_frames = self._session.input_shape[2]

    def estimate(self, mixture: Magnitude) -> npt.NDArray[np.float32]:
        """See `unweave.engines.base.Network`."""
        (estimates,) = self._session.run(mixture[None])
        return estimates[:, 0]


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
        sys.modules.pop(name, None)  # another thread may have been here too
    return openvino

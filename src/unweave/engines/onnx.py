"""ONNX Runtime: the default engine."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import threading
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from unweave.dsp.memory import ThreadBuffer
from unweave.engines.denormals import without_denormals
from unweave.engines.lack_of_memory import lack_of_memory_told
from unweave.errors import ModelError
from unweave.forks import after_fork
from unweave.models.cache import graphs_folder
from unweave.models.files import sealed_folder
from unweave.types import Magnitude

if os.environ.get("ORT_DISABLE_TELEMETRY") == "1" and hasattr(onnxruntime, "disable_telemetry_events"):
    # `unweave/__init__.py` comes too late for a program that imported ONNX Runtime before: stop what can be stopped.
    onnxruntime.disable_telemetry_events()

log = logging.getLogger(__name__)

OPTIMISED = "optimised.onnx"
WEIGHTS = "weights.bin"
SILENT = 3  # only errors are logged
REWRITES = 2  # part of the name of each folder with optimised graphs: raise it when `_optimise` makes others


class OnnxNetwork:
    """A network in an ONNX file, run on the CPU by the calling thread alone.

    Throughput comes from calling it in several threads at once, one per core, which beats one session that splits each
    operation over the cores (``docs/performance.md``); the weights are shared. Raises `ModelError` for a file that
    ONNX Runtime does not take.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._session = _session(_optimised(path), _options())
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            raise ModelError(f"ONNX Runtime cannot load {path}: {error}") from error
        (self._input,) = self._session.get_inputs()
        (self._output,) = self._session.get_outputs()
        frames = self._input.shape[2]
        self.n_frames = frames if isinstance(frames, int) else None
        self._estimates = ThreadBuffer()

    def estimate(self, mixture: Magnitude) -> npt.NDArray[np.float32]:
        """See `unweave.engines.base.Network`."""
        estimates = self._estimates.of((self._output.shape[0], 1, *mixture.shape))
        binding = self._session.io_binding()
        binding.bind_cpu_input(self._input.name, np.ascontiguousarray(mixture[None]))
        binding.bind_output(self._output.name, "cpu", 0, np.float32, estimates.shape, estimates.ctypes.data)
        with without_denormals(), lack_of_memory_told():
            self._session.run_with_iobinding(binding)
        return estimates[:, 0]


class OnnxSession:
    """A network in an ONNX file on the CPU: float32 arrays in, arrays out. It spreads operations over ``n_threads``.

    ``n_at_once`` calls may run at the same time, each on that many threads; further ones wait. Large networks take
    gigabytes per call, so that more is seldom better. Buffers are given back after each operation that needs them,
    not kept for later ones of the same size, which took three times as much. All sessions take them from one store.
    Raises `ModelError` for a file that ONNX Runtime does not take.
    """

    def __init__(self, path: Path, n_threads: int, n_at_once: int = 1) -> None:
        self._path, self._n_threads, self._n_at_once = path, n_threads, n_at_once
        self._stale: list[onnxruntime.InferenceSession] = []
        self._open()
        after_fork(self._renew_locks)

    def run(self, *arrays: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """All outputs, in the order of the file, for all inputs in theirs."""
        with self._turn:
            if self._process != os.getpid():
                self._stale.append(self._session)  # kept: its end would wait for threads that are not there
                self._open()
        with self._turns, without_denormals(), lack_of_memory_told():
            outputs: list[npt.NDArray[np.float32]] = self._session.run(
                None, {name: np.ascontiguousarray(array) for name, array in zip(self._inputs, arrays, strict=True)}
            )
            return outputs

    def _open(self) -> None:
        options = _options()
        options.intra_op_num_threads = self._n_threads
        options.enable_mem_reuse = False
        if _shares_buffers() == os.getpid():
            options.add_session_config_entry("session.use_env_allocators", "1")
        try:
            self._session = _session(_optimised(self._path), options)
        except Exception as error:
            raise ModelError(f"ONNX Runtime cannot load {self._path}: {error}") from error
        self._inputs = [entry.name for entry in self._session.get_inputs()]
        self._process = os.getpid()
        self._renew_locks()

    def _renew_locks(self) -> None:
        """In a child after a fork, a lock may be held by a thread that is not there."""
        self._turn = threading.RLock()
        self._turns = threading.Semaphore(self._n_at_once)


@lru_cache(maxsize=1)
def _shares_buffers() -> int:
    """Let sessions take their buffers from one store; the process that may, for a child would inherit its locks.

    Networks that run in turn, such as the four of a bag, then need as much memory as the largest of them, not as all.
    """
    arena, usual = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    memory = onnxruntime.OrtMemoryInfo("Cpu", arena, 0, usual)
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(0, -1, -1, -1))
    return os.getpid()


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.set_denormal_as_zero", "1")  # in the threads of its own
    options.enable_mem_pattern = False  # 75 MB less for the same speed
    options.log_severity_level = SILENT
    return options


def _session(path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    if path.name == OPTIMISED:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    with without_denormals():  # the first session of a process would change the thread that opens it for good
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _optimised(path: Path) -> Path:
    """The network of the cache at ``path`` as ONNX Runtime optimises it for this processor, kept beside it.

    Its weights lie in a file that is mapped, not read: the session is there in 10 ms instead of 200, and the process is
    75 MB smaller. A network from elsewhere is taken as it is.
    """
    if graphs_folder() not in path.parents:
        return path
    folder = path.parent.with_name(f"{path.parent.name}-{_fingerprint()}")
    try:
        return sealed_folder(folder, lambda staged: _optimise(path, staged)) / OPTIMISED
    except Exception as error:  # of a full disk ONNX Runtime tells in its own way
        # It costs speed, not the result; what is wrong with the network itself is told when it is opened.
        log.debug("the network at %s is not kept as ONNX Runtime optimises it: %s", path, error)
        return path


def _optimise(path: Path, folder: Path) -> None:
    options = _options()
    options.optimized_model_filepath = str(folder / OPTIMISED)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", WEIGHTS)
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
    _session(path, options)
    # Imported here: this runs once per network and machine, and `onnx` takes 0.14 s to import.
    from unweave.engines.blocked import stay_blocked

    optimised = folder / OPTIMISED
    plain = optimised.read_bytes()
    try:
        if stay_blocked(optimised):
            _session(optimised, _options())
    except Exception as error:  # of whatever kind: it costs speed, not the result
        log.debug("the graph of %s stays as ONNX Runtime optimised it: %s", path, error)
        optimised.write_bytes(plain)


def _fingerprint() -> str:
    """What an optimised graph depends on: ONNX Runtime's version and the processor's instruction sets."""
    features = platform.machine() + platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        features += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(f"{onnxruntime.__version__} {REWRITES} {features}".encode()).hexdigest()[:12]

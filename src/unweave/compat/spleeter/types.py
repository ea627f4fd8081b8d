"""Spleeter's ``spleeter.types``."""

from typing import Any

import numpy as np
import numpy.typing as npt

AudioDescriptor = Any
Signal = tuple[npt.NDArray[np.float32], float]  # samples (samples, channels) and their rate in Hz

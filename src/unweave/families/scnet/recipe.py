"""What surrounds an SCNet: samples → spectrum → spectra or masks → samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unweave.dsp.centred_stft import centred_istft, centred_stft
from unweave.dsp.real_parts import as_channels, from_channels
from unweave.dsp.stft import hann, rectangle
from unweave.engines.base import Session
from unweave.engines.choose import Runtime, cpu_session
from unweave.families.overlapping import OverlappingSeparator
from unweave.families.scnet.graph import NETWORK
from unweave.families.scnet.spec import PARTS, ScnetSpec
from unweave.families.segment_options import whole_hops
from unweave.models.checkpoints import Tensors
from unweave.types import Waveform


class ScnetNetwork:
    """The network with its transforms, as `unweave.families.overlapping.SegmentNetwork`."""

    def __init__(self, spec: ScnetSpec, session: Session) -> None:
        self._spec = spec
        self._session = session
        self._window = hann if spec.masked else rectangle
        self._scale = np.float32(np.sqrt(spec.n_fft) if spec.stft_normalised else 1)

    def waveforms(self, segment: Waveform, stems: Sequence[int]) -> npt.NDArray[np.float32]:
        """The stems with the given indices: (channels, length) → (stems, channels, length)."""
        spec = self._spec
        longer = np.pad(segment, [(0, 0), (0, spec.n_added)])
        spectrum = centred_stft(longer, spec.n_fft, spec.hop_length, self._window) / self._scale
        (given,) = self._session.run(as_channels(spectrum)[None])
        spectra = given[0].reshape(-1, PARTS, *given.shape[2:])
        separated = np.empty((len(stems), *segment.shape), np.float32)
        for row, stem in enumerate(stems):
            found = from_channels(spectra[stem]) * self._scale
            if spec.masked:
                found *= spectrum
            separated[row] = centred_istft(found, segment.shape[1], spec.n_fft, spec.hop_length, self._window)
        return separated


def with_segment(spec: ScnetSpec, n_samples: int) -> ScnetSpec:
    """See `unweave.families.segment_options`: any whole number of hops."""
    return dataclasses.replace(spec, segment_samples=whole_hops(n_samples, spec.hop_length))


def open_separator(spec: ScnetSpec, folder: Path, runtime: Runtime) -> OverlappingSeparator:
    """The separator whose network `write_network` left in ``folder``, on the CPU."""
    return OverlappingSeparator(spec, ScnetNetwork(spec, cpu_session(folder / NETWORK, runtime)))


def open_twin(spec: ScnetSpec, tensors: Tensors, runtime: Runtime) -> OverlappingSeparator:
    """See `unweave.families.foreign.ForeignFamily`."""
    from unweave.families.scnet.network import Scnet
    from unweave.families.twins import session, with_arrays

    network = with_arrays(Scnet(spec), tensors, spec.shapes, spec.name)
    return OverlappingSeparator(spec, ScnetNetwork(spec, session(network, runtime)))

"""What surrounds an MDX23C: samples → spectrum in subbands → spectra of the stems → samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unweave.dsp.centred_stft import centred_istft, centred_stft
from unweave.engines.base import Session
from unweave.engines.choose import Runtime, cpu_session
from unweave.families.mdx23c.graph import NETWORK
from unweave.families.mdx23c.spec import N_CHANNELS, Mdx23cSpec
from unweave.families.overlapping import OverlappingSeparator
from unweave.families.segment_options import whole_frames
from unweave.models.checkpoints import Tensors
from unweave.types import Spectrogram, Waveform


class Mdx23cNetwork:
    """The network with its transforms, as `unweave.families.overlapping.SegmentNetwork`."""

    def __init__(self, spec: Mdx23cSpec, session: Session) -> None:
        self._spec = spec
        self._session = session

    def waveforms(self, segment: Waveform, stems: Sequence[int]) -> npt.NDArray[np.float32]:
        """The stems with the given indices: (channels, length) → (stems, channels, length)."""
        spec = self._spec
        spectrum = centred_stft(segment, spec.n_fft, spec.hop_length)[..., : spec.n_bins]
        (given,) = self._session.run(as_subbands(spectrum, spec.n_subbands)[None])
        spectra = given[0].reshape(-1, spec.n_inputs, *given.shape[2:])
        separated = np.empty((len(stems), *segment.shape), np.float32)
        full = np.zeros((N_CHANNELS, spec.n_frames, spec.n_fft // 2 + 1), np.complex64)
        for row, stem in enumerate(stems):
            full[..., : spec.n_bins] = from_subbands(spectra[stem], spec.n_subbands)
            separated[row] = centred_istft(full, segment.shape[1], spec.n_fft, spec.hop_length)
        return separated


def as_subbands(spectrum: Spectrogram, n_subbands: int) -> npt.NDArray[np.float32]:
    """(channels, frames, bins) complex → (2 · channels · subbands, frames, bins per subband).

    For each channel its real parts, then its imaginary ones, each by subbands.
    """
    parts = np.stack([spectrum.real, spectrum.imag], axis=1)  # (channels, 2, frames, bins)
    apart = parts.reshape(*parts.shape[:3], n_subbands, -1).transpose(0, 1, 3, 2, 4)
    return np.ascontiguousarray(apart.reshape(-1, *apart.shape[3:]), np.float32)


def from_subbands(numbers: npt.NDArray[np.float32], n_subbands: int) -> Spectrogram:
    """The inverse of `as_subbands`."""
    parts = numbers.reshape(-1, 2, n_subbands, *numbers.shape[1:]).transpose(0, 1, 3, 2, 4)
    parts = parts.reshape(*parts.shape[:3], -1)
    return (parts[:, 0] + 1j * parts[:, 1]).astype(np.complex64)


def with_segment(spec: Mdx23cSpec, n_samples: int) -> Mdx23cSpec:
    """See `unweave.families.segment_options`: as many frames as can be halved at each level."""
    n_frames = whole_frames(n_samples, spec.hop_length, spec.scale[0] ** spec.n_scales)
    return dataclasses.replace(spec, segment_samples=(n_frames - 1) * spec.hop_length)


def open_separator(spec: Mdx23cSpec, folder: Path, runtime: Runtime) -> OverlappingSeparator:
    """The separator whose network `write_network` left in ``folder``, on the CPU."""
    return OverlappingSeparator(spec, Mdx23cNetwork(spec, cpu_session(folder / NETWORK, runtime)))


def open_twin(spec: Mdx23cSpec, tensors: Tensors, runtime: Runtime) -> OverlappingSeparator:
    """See `unweave.families.foreign.ForeignFamily`."""
    from unweave.families.mdx23c.network import Mdx23c
    from unweave.families.twins import session, with_arrays

    network = with_arrays(Mdx23c(spec), tensors, spec.shapes, spec.name)
    return OverlappingSeparator(spec, Mdx23cNetwork(spec, session(network, runtime)))

"""Ratio masks from the networks' estimates, and their extension to the bins that no network sees."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Keeps the masks defined in silence, where every stem then gets an equal share (Spleeter's EPSILON).
EPSILON = 1e-10


def ratio_masks(estimates: npt.NDArray[np.float32], exponent: float = 2.0) -> npt.NDArray[np.float32]:
    """Each stem's share of the mixture: (stems, …) magnitudes ≥ 0 → (stems, …) masks in 0 … 1 that sum to one.

    ``(estimateᵖ + ε/n) / (Σ estimateᵖ + ε)`` for n stems and the exponent p, as Spleeter has it: p = 2 is the Wiener
    filter of sources with those variances, p = 1 the plain ratio mask.
    """
    powers = _raised(estimates, exponent)
    scale = np.sum(powers, axis=0)
    scale += np.float32(EPSILON)
    np.reciprocal(scale, out=scale)
    powers += np.float32(EPSILON / len(estimates))
    powers *= scale
    return powers


def extend_masks(masks: npt.NDArray[np.float32], n_bins: int, mode: str) -> npt.NDArray[np.float32]:
    """Masks for all ``n_bins`` bins from those of the lowest: (…, frames, bins) → (…, frames, n_bins).

    ``zeros`` silences what the network does not see (Spleeter's default); ``average`` gives it, frame by frame, the
    mean of the mask over the bins below (Spleeter's ``mask_extension: average``); ``edge`` the mean over the highest
    quarter of them, which have more to do with it.
    """
    shape = (*masks.shape[:-1], n_bins - masks.shape[-1])
    return np.concatenate([masks, np.broadcast_to(shares_above(masks, mode), shape)], axis=-1)


def shares_above(masks: npt.NDArray[np.float32], mode: str) -> npt.NDArray[np.float32]:
    """What `extend_masks` continues masks (…, frames, bins) with, the same for all higher bins: (…, frames, 1)."""
    if mode == "zeros":
        return np.zeros((*masks.shape[:-1], 1), np.float32)
    if mode not in ("average", "edge"):
        raise ValueError(f"mask extension must be 'zeros', 'average' or 'edge', got {mode!r}")
    first = 0 if mode == "average" else masks.shape[-1] * 3 // 4
    mean: npt.NDArray[np.float32] = masks[..., first:].mean(axis=-1, keepdims=True)
    return mean


def _raised(estimates: npt.NDArray[np.float32], exponent: float) -> npt.NDArray[np.float32]:
    """``estimates`` to the power of ``exponent``, in a new array.

    Square roots take a fifth of the time of ``np.power`` where the processor lacks AVX-512.
    """
    if exponent == 2.0:
        return np.square(estimates)
    if exponent != 1.25:
        return np.power(estimates, np.float32(exponent))
    root = np.sqrt(estimates)
    np.sqrt(root, out=root)
    root *= estimates
    return root


def fade_weights(n_frames: int, overlap_frames: int, *, is_first: bool) -> npt.NDArray[np.float32]:
    """Weights of a segment's frames, such that those of neighbours sum to one where they overlap: (frames,).

    The first segment has nothing to fade in from.
    """
    weights = np.ones(n_frames, np.float32)
    if overlap_frames:
        rise = (np.arange(overlap_frames, dtype=np.float32) + 0.5) / overlap_frames
        if not is_first:
            weights[:overlap_frames] = rise
        weights[-overlap_frames:] = rise[::-1]
    return weights

"""Make ``reference.npz``: what pymss-core computes for `cases`.

Run once, in a virtual environment of its own: ``pip install torch==2.13.0 pymss-core==0.1.14``, then
``python -m tests.families.roformer.make_reference``. The tests need neither.
"""

from pathlib import Path

import numpy as np
import torch
from pymss_core.modules import bs_roformer
from torch.nn.functional import pad

from tests.families.roformer.cases import CASES, EVERY, mixture, mixtures, random_weights

SEGMENT = 4410


def built(kind, configuration):
    network = getattr(bs_roformer, kind)(**configuration["model"], flash_attn=True)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    weights = random_weights(shapes)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, strict=True)
    return network.eval(), shapes


def window(length, fade):
    made = torch.ones(length)
    made[-fade:] = torch.linspace(1, 0, fade)
    made[:fade] = torch.linspace(0, 1, fade)
    return made


def demix(network, configuration, mix, n_stems):
    """ZFTurbo's ``demix`` in its mode "generic", with one segment at a time."""
    chunk = configuration["audio"]["chunk_size"]
    step = chunk // configuration["inference"]["num_overlap"]
    fade, border, length = chunk // 10, chunk - step, mix.shape[-1]
    if length > 2 * border and border > 0:
        mix = pad(mix, (border, border), mode="reflect")
    result, counter = torch.zeros(n_stems, *mix.shape), torch.zeros(n_stems, *mix.shape)
    i = 0
    while i < mix.shape[1]:
        part = mix[:, i : i + chunk]
        n = part.shape[-1]
        part = pad(part, (0, chunk - n), mode="reflect") if n > chunk // 2 else pad(part, (0, chunk - n))
        i += step
        with torch.no_grad():
            x = network(part[None])[0]
        x = x[None] if n_stems == 1 else x
        weight = window(chunk, fade)
        if i - step == 0:
            weight[:fade] = 1
        elif i >= mix.shape[1]:
            weight[-fade:] = 1
        start = i - step
        result[..., start : start + n] += x[..., :n] * weight[:n]
        counter[..., start : start + n] += weight[:n]
    out = torch.nan_to_num(result / counter, nan=0.0)
    return out[..., border:-border] if length > 2 * border and border > 0 else out


def separated(network, configuration, mix, n_stems):
    mono = mix.mean(0)
    mean, std = mono.mean(), mono.std()
    if configuration["inference"]["normalize"] and std > 0:
        out = demix(network, configuration, torch.from_numpy((mix - mean) / std), n_stems).numpy() * std + mean
    else:
        out = demix(network, configuration, torch.from_numpy(mix), n_stems).numpy()
    return np.concatenate([out, mix[None] - out]) if configuration["training"]["target_instrument"] else out


def masks_of(network, mix):
    """The masks of one segment, (stems, bins · channels, frames, 2), averaged where bands overlap."""
    from pymss_core.modules.bs_roformer.common import stft_roformer

    with torch.no_grad():
        spectrum, context = stft_roformer(network, torch.from_numpy(mix)[None])
        ones = torch.view_as_real(torch.ones(spectrum.shape[:-1], dtype=torch.complex64))
        original = torch.view_as_complex
        # The masks are what is left when the spectrum they are multiplied with is one.
        replaced = []

        def as_complex(x):
            if not replaced and x.shape == spectrum.unsqueeze(1).shape:
                replaced.append(True)
                return original(ones.unsqueeze(1))
            return original(x)

        torch.view_as_complex = as_complex
        try:
            masked = network._mask_stft_repr(spectrum, context)
        finally:
            torch.view_as_complex = original
    return torch.view_as_real(masked)[0].numpy()


def main():
    stored = {}
    for case, (kind, configuration) in CASES.items():
        network, shapes = built(kind, configuration)
        stored[f"{case}/names"] = np.array(sorted(f"{name} {shape}" for name, shape in shapes.items()))
        n_stems = configuration["model"]["num_stems"]
        # (stems, bins · channels, frames, parts) → (stems, frames, bins · channels · parts)
        masks = masks_of(network, mixture(SEGMENT)).transpose(0, 2, 1, 3)
        stored[f"{case}/masks"] = masks.reshape(*masks.shape[:2], -1).ravel()[::EVERY]
        for name, mix in mixtures().items():
            stored[f"{case}/{name}"] = separated(network, configuration, mix, n_stems)[..., ::EVERY].astype(np.float32)
        if kind == "MelBandRoformer":
            stored[f"{case}/members"] = np.packbits(network.freqs_per_band.numpy())
    np.savez_compressed(Path(__file__).with_name("reference.npz"), **stored)


if __name__ == "__main__":
    main()

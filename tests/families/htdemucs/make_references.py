"""What the package demucs itself computes with the random networks of `small`, in double precision, as references.npz.

Run in an environment of its own, from the root of the repository::

    python3 -m venv /tmp/reference && /tmp/reference/bin/pip install torch==2.13.0 demucs==4.1.0
    PYTHONPATH=src:. /tmp/reference/bin/python -m tests.families.htdemucs.make_references
"""

from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from demucs.apply import apply_model
from demucs.htdemucs import HTDemucs

from tests.families.htdemucs.small import EVERY, KINDS, SPECS, random_weights, signal, track

SAME = (
    "audio_channels", "channels", "growth", "depth", "kernel_size", "stride", "context", "context_enc", "freq_emb",
    "emb_scale", "dconv_mode", "dconv_depth", "dconv_comp", "bottom_channels", "t_layers", "t_heads", "t_hidden_scale",
    "t_max_period", "t_weight_pos_embed", "t_cross_first", "t_norm_in", "t_norm_out", "t_layer_scale", "t_gelu",
)  # fmt: skip


def arguments(spec):
    """How the original's constructor is told what ``spec`` says."""
    return {
        **{name: getattr(spec, name) for name in SAME},
        "sources": list(spec.stems),
        "nfft": spec.n_fft,
        "samplerate": spec.sample_rate,
        "segment": Fraction(spec.segment_samples, spec.sample_rate),
    }


def network(spec):
    module = HTDemucs(**arguments(spec))
    module.load_state_dict({name: torch.from_numpy(array) for name, array in random_weights(spec).items()})
    return module.eval().double()


def outputs(module, mixture):
    """The network's own two outputs, before the inverse transform."""
    inside = {}
    original = module._mask

    def mask(z, x):
        inside["spectra"] = x
        return original(z, x)

    module._mask = mask
    inverse = module._ispec
    module._ispec = lambda z, length: 0
    waveforms = module(torch.from_numpy(mixture)[None].double())
    module._mask, module._ispec = original, inverse
    return inside["spectra"][0].numpy(), waveforms[0].numpy()


def separate(module, mixture):
    """`demucs.api.Separator.separate_tensor`, without random shifts."""
    wav = torch.from_numpy(mixture).double()
    ref = wav.mean(0)
    mean, std = ref.mean(), ref.std() + 1e-8
    out = apply_model(module, ((wav - mean) / std)[None], shifts=0, split=True, overlap=0.25)[0]
    return (out * std + mean).numpy()


def main():
    stored = {}
    with torch.inference_mode():
        for name, spec in SPECS.items():
            module = network(spec)
            spectra, waveforms = outputs(module, signal(spec.segment_samples, spec.audio_channels))
            stored[f"{name}/spectra"] = spectra.ravel()[::EVERY]
            stored[f"{name}/waveforms"] = waveforms.ravel()[::EVERY]
            names = [list(module.state_dict()), list(spec.shapes())]
            assert sorted(names[0]) == sorted(names[1]), set(names[0]) ^ set(names[1])
        module = network(SPECS["four"])
        for kind in KINDS:
            stored[f"recipe/{kind}"] = separate(module, track(kind)).ravel()[::EVERY]
    path = Path(__file__).with_name("references.npz")
    np.savez_compressed(path, **{name: array.astype(np.float32) for name, array in stored.items()})
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

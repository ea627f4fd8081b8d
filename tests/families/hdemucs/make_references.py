"""What the package demucs itself computes with the random networks of `small`, in double precision, as references.npz.

Run in an environment of its own, from the root of the repository::

    python3 -m venv /tmp/reference && /tmp/reference/bin/pip install torch==2.13.0 demucs==4.1.0
    PYTHONPATH=src:. /tmp/reference/bin/python -m tests.families.hdemucs.make_references
"""

from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from demucs.hdemucs import HDemucs

from tests.families.hdemucs.small import EVERY, KINDS, SPECS, random_weights, track
from tests.families.htdemucs.make_references import outputs, separate
from tests.families.htdemucs.small import signal

SAME = (
    "audio_channels", "channels", "channels_time", "growth", "depth", "kernel_size", "stride", "time_stride", "context",
    "context_enc", "freq_emb", "emb_scale", "norm_starts", "norm_groups", "dconv_mode", "dconv_depth", "dconv_comp",
    "dconv_attn", "dconv_lstm",
)  # fmt: skip


def network(spec):
    module = HDemucs(
        sources=list(spec.stems),
        nfft=spec.n_fft,
        samplerate=spec.sample_rate,
        segment=Fraction(spec.segment_samples, spec.sample_rate),
        hybrid_old=spec.zero_borders,
        **{name: getattr(spec, name) for name in SAME},
    )
    state = module.state_dict()
    shapes = {name: tuple(array.shape) for name, array in state.items()}
    assert shapes == spec.shapes(), {*shapes.items()} ^ {*spec.shapes().items()}
    module.load_state_dict({name: torch.from_numpy(array) for name, array in random_weights(spec).items()})
    return module.eval().double()


def main():
    stored = {}
    with torch.inference_mode():
        for name, spec in SPECS.items():
            module = network(spec)
            mixture = signal(spec.segment_samples, spec.audio_channels)
            spectra, waveforms = outputs(module, mixture)
            stored[f"{name}/spectra"] = spectra.ravel()[::EVERY]
            stored[f"{name}/waveforms"] = waveforms.ravel()[::EVERY]
            stored[f"{name}/stems"] = module(torch.from_numpy(mixture)[None].double()).numpy().ravel()[::EVERY]
        module = network(SPECS["four"])
        for kind in KINDS:
            stored[f"recipe/{kind}"] = separate(module, track(kind)).ravel()[::EVERY]
    for name, array in stored.items():
        print(f"{name}: {array.size} values, level {array.std():.3g}, largest {np.abs(array).max():.3g}")
    path = Path(__file__).with_name("references.npz")
    np.savez_compressed(path, **{name: array.astype(np.float32) for name, array in stored.items()})
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

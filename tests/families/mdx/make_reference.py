"""Make ``reference.npz``: what audio-separator's ``MDXSeparator`` makes of the networks of `cases`.

Run once, in a virtual environment of its own: ``pip install torch==2.13.0 onnx tqdm``, then with the source of
audio-separator 0.47.1 on the path (``pip download --no-deps``; its other dependencies are not needed):
``python -m tests.families.mdx.make_reference``. The network itself is PyTorch's here, not ONNX Runtime's.
"""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from tests.families.mdx.cases import CASES, EPSILON, EVERY, mixture, mixtures

for _name in ("onnxruntime", "onnx2torch", "audio_separator.separator.uvr_lib_v5.spec_utils", "tqdm"):
    sys.modules[_name] = ModuleType(_name)
sys.modules["tqdm"].tqdm = lambda steps, *_, **__: steps
_parent = ModuleType("audio_separator.separator")
_folders = [Path(folder) / "audio_separator/separator" for folder in sys.path]
_parent.__path__ = [str(folder) for folder in _folders if folder.is_dir()]
sys.modules["audio_separator.separator"] = _parent
_common = ModuleType("audio_separator.separator.common_separator")
_common.CommonSeparator = object
sys.modules["audio_separator.separator.common_separator"] = _common
_library = ModuleType("audio_separator.separator.uvr_lib_v5")
_library.__path__ = [f"{folder}/uvr_lib_v5" for folder in _parent.__path__]
_library.spec_utils = sys.modules["audio_separator.separator.uvr_lib_v5.spec_utils"]
sys.modules["audio_separator.separator.uvr_lib_v5"] = _library

from audio_separator.separator.architectures.mdx_separator import MDXSeparator  # noqa: E402
from audio_separator.separator.uvr_lib_v5.stft import STFT  # noqa: E402


def network(size):
    weights = {name: torch.from_numpy(array) for name, array in size.weights().items()}

    def conv(x, name, function=F.conv2d, **options):
        return F.relu(function(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **options))

    def block(x, name):
        for k in range(size.n_convs):
            x = conv(x, f"{name}.tfc.{k}", padding=1)
        dense = x
        for k in range(2):
            dense = F.linear(dense, weights[f"{name}.tdf.{k}.weight"])
            parts = ("running_mean", "running_var", "weight", "bias")
            dense = F.batch_norm(dense, *(weights[f"{name}.tdf.{k}.norm.{part}"] for part in parts), eps=EPSILON)
            dense = F.relu(dense)
        return x + dense

    def run(spectrum):
        x = conv(spectrum, "first_conv").transpose(-1, -2)
        skips = []
        for k in range(size.n_levels):
            skips.append(block(x, f"encoder.{k}"))
            x = conv(skips[-1], f"encoder.{k}.ds", stride=2)
        x = block(x, "bottleneck")
        for k in reversed(range(size.n_levels)):
            x = block(conv(x, f"encoder.{k}.us", F.conv_transpose2d, stride=2) * skips[k], f"decoder.{k}")
        return F.conv2d(x.transpose(-1, -2), weights["final_conv.weight"], weights["final_conv.bias"])

    return run


def separator(size, n_fft, n_frames, compensation, denoise):
    made = MDXSeparator.__new__(MDXSeparator)
    silent = SimpleNamespace(debug=lambda *_: None, info=lambda *_: None)
    for name, value in {
        "logger": silent, "segment_size": n_frames, "overlap": 0.25, "batch_size": 1, "hop_length": 1024,
        "enable_denoise": denoise, "compensate": compensation, "dim_f": size.n_bins, "dim_t": n_frames, "n_fft": n_fft,
        "torch_device": torch.device("cpu"), "model_run": network(size),
    }.items():  # fmt: skip
        setattr(made, name, value)
    made.stft = STFT(silent, n_fft, 1024, size.n_bins, torch.device("cpu"))
    return made


def main():
    stored = {}
    for case, (size, n_fft, n_frames, compensation, denoise) in CASES.items():
        made = separator(size, n_fft, n_frames, compensation, denoise)
        segment = 1024 * (n_frames - 1)
        spectrum = made.stft(torch.from_numpy(mixture(segment)[None]))
        stored[f"{case}/network"] = made.model_run(spectrum).numpy().ravel()[::EVERY]
        for name, mix in mixtures(segment, int(0.75 * segment)).items():
            stem = made.demix(mix)
            complement = (-stem.T * compensation) + mix.T
            both = np.stack([stem, complement.T]).astype(np.float32)
            assert np.isfinite(both).all()
            stored[f"{case}/{name}"] = both[..., ::EVERY]
    np.savez_compressed(Path(__file__).with_name("reference.npz"), **stored)


if __name__ == "__main__":
    main()

"""Make ``reference.npz``: what pymss-core's networks and audio-separator's ``VRSeparator`` make of `cases`.

Run once, in a virtual environment of its own: ``pip install torch==2.13.0 pymss-core==0.1.14 librosa``, then with the
source of audio-separator 0.47.1 on the path (``pip download --no-deps``):
``python -m tests.families.vr.make_reference``.
All bands are resampled by polyphase filters, as audio-separator does it on ARM Macs.
"""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import torch

from tests.families.references import lines_of, with_random_weights
from tests.families.vr.cases import CASES, EVERY, PUBLISHED, mixture, mixtures, random_weights

for _name in ("audioread", "soundfile", "pydub", "audio_separator.separator.common_separator"):
    if _name not in sys.modules:
        sys.modules[_name] = ModuleType(_name)


class CommonSeparator:
    NON_ACCOM_STEMS = ("Vocals", "Other", "Bass", "Drums")


sys.modules["audio_separator.separator.common_separator"].CommonSeparator = CommonSeparator
for _name in ("audio_separator.separator", "audio_separator.separator.uvr_lib_v5"):
    _module = ModuleType(_name)
    _folders = [Path(folder) / _name.replace(".", "/") for folder in sys.path]
    _module.__path__ = [str(folder) for folder in _folders if folder.is_dir()]
    sys.modules[_name] = _module
sys.modules["pydub"].AudioSegment = object
sys.modules["audio_separator.separator.uvr_lib_v5"].pyrb = ModuleType("pyrb")

import librosa  # noqa: E402
from audio_separator.separator.architectures.vr_separator import VRSeparator  # noqa: E402
from audio_separator.separator.uvr_lib_v5 import spec_utils  # noqa: E402
from pymss_core.modules.vocal_remover.uvr_lib_v5.vr_network import nets, nets_new  # noqa: E402

spec_utils.wav_resolution = "polyphase"
TABLE = Path("src/unweave/families/vr/parameters.json")


def network(version, architecture, spectrum):
    if version == "5":
        made = nets.CascadedASPPNet(
            spectrum["bins"] * 2,
            [(2, 4), (2, 4), (6, 2, 1, 1, 0), (2, 4), (10, 4, 1, 1, 0), (4, 8), (8, 2, 1), (4, 2, 1), (4, 2, 1)],
            architecture,
        )
    else:
        made = nets_new.CascadedNet(spectrum["bins"] * 2, architecture, nout=8, nout_lstm=12)
    return with_random_weights(made, random_weights)


def published(version, size, spectrum, width):
    """The shapes of a network of full size, none of whose arrays are made."""
    bins = json.loads(TABLE.read_text("utf-8"))["spectra"][spectrum]["bins"]
    with torch.device("meta"):
        if version == "5":
            ch = width
            capacity = [(2, ch), (2, ch), (ch + 2, ch // 2, 1, 1, 0), (ch // 2, ch), (2 * ch + 2, ch, 1, 1, 0)]
            capacity += [(ch, 2 * ch), (2 * ch, 2, 1), (ch, 2, 1), (ch, 2, 1)]
            made = nets.CascadedASPPNet(bins * 2, capacity, size)
        else:
            made = nets_new.CascadedNet(bins * 2, size, nout=width[0], nout_lstm=width[1])
    return {name: tuple(array.shape) for name, array in made.state_dict().items()}


def separator(case):
    version, architecture, spectrum, stem = CASES[case]
    modes = dict.fromkeys(("mid_side", "mid_side_b2", "reverse"), False)
    parameters = {**modes, **spectrum, "band": {int(key): given for key, given in spectrum["band"].items()}}
    made = VRSeparator.__new__(VRSeparator)
    made.model_params = SimpleNamespace(param=parameters)
    made.model_run, shapes = network(version, architecture, spectrum)
    made.is_vr_51_model = version == "5.1"
    made.window_size, made.batch_size = 512, 1
    made.enable_tta = made.enable_post_process = made.high_end_process = False
    made.logger = SimpleNamespace(debug=lambda *_: None)
    made.primary_stem_name = stem
    made.torch_device = torch.device("cpu")
    correction = spectrum.get("aggr_correction")
    split = spectrum["band"]["1"]["crop_stop"]
    made.aggressiveness = {"value": 0.05, "split_bin": split, "aggr_correction": correction}
    return made, shapes


def stacked(made, mix):
    """As ``VRSeparator.loading_mix``, which reads a file."""
    bands, waves, spectra = made.model_params.param["band"], {}, {}
    for d in range(len(bands), 0, -1):
        if d == len(bands):
            waves[d] = mix
        else:
            rates = {"orig_sr": bands[d + 1]["sr"], "target_sr": bands[d]["sr"]}
            waves[d] = librosa.resample(waves[d + 1], **rates, res_type="polyphase")
        spectra[d] = spec_utils.wave_to_spectrogram(
            waves[d], bands[d]["hl"], bands[d]["n_fft"], made.model_params, band=d, is_v51_model=made.is_vr_51_model
        )
    return spec_utils.combine_spectrograms(spectra, made.model_params, is_v51_model=made.is_vr_51_model)


def main():
    stored = {}
    for case, (_, _, spectrum, _) in CASES.items():
        made, shapes = separator(case)
        stored[f"{case}/names"] = lines_of(shapes)
        magnitudes = np.abs(mixture(512 * (spectrum["bins"] + 1))).reshape(1, 2, spectrum["bins"] + 1, 512)
        with torch.no_grad():
            mask = made.model_run(torch.from_numpy(magnitudes)).numpy()
        edge = made.model_run.offset
        stored[f"{case}/network"] = mask[0, :, :-1, edge:-edge].ravel()[::EVERY]
        hop = spectrum["band"][str(len(spectrum["band"]))]["hl"]
        for name, mix in mixtures(hop, 512 - 2 * edge).items():
            spectra = made.inference_vr(stacked(made, mix), made.torch_device, made.aggressiveness)
            waves = np.stack([made.spec_to_wav(np.nan_to_num(one)) for one in spectra])
            stored[f"{case}/{name}/samples"] = np.array(waves.shape[-1])
            stored[f"{case}/{name}"] = waves[..., ::EVERY].astype(np.float32)
    for version, size, spectrum, width in PUBLISHED:
        lines = sorted(f"{name} {shape}" for name, shape in published(version, size, spectrum, width).items())
        stored[f"published/{size}"] = np.array(lines)
    np.savez_compressed(Path(__file__).with_name("reference.npz"), **stored)


if __name__ == "__main__":
    main()

"""Names that scripts import from the original beside its separator and its adapters."""

import importlib
import json
import logging

import numpy as np
import pytest

from tests.helpers.signals import noise
from unweave.compat.spleeter import SpleeterError
from unweave.compat.spleeter.separator import Separator
from unweave.compat.spleeter.types import AudioDescriptor, Signal
from unweave.compat.spleeter.utils import logging as spleeters_logging
from unweave.compat.spleeter.utils.configuration import load_configuration

NAMES = {
    "": ("SpleeterError",),
    ".__main__": ("entrypoint", "separate"),
    ".audio": ("Codec", "STFTBackend"),
    ".audio.adapter": ("AudioAdapter", "get_default_audio_adapter", "get_audio_adapter"),
    ".audio.ffmpeg": ("FFMPEGProcessAudioAdapter",),
    ".model.provider": ("ModelProvider", "get_default_model_provider"),
    ".model.provider.github": ("GithubModelProvider", "compute_file_checksum"),
    ".separator": ("Separator",),
    ".types": ("AudioDescriptor", "Signal"),
    ".utils": (),
    ".utils.audio.adapter": ("AudioAdapter", "get_default_audio_adapter", "get_audio_adapter"),
    ".utils.configuration": ("load_configuration",),
    ".utils.logging": (
        "logger",
        "configure_logger",
        "get_logger",
        "enable_logging",
        "enable_tensorflow_logging",
    ),
}


@pytest.mark.parametrize("module", NAMES)
def test_names(module):
    found = importlib.import_module(f"unweave.compat.spleeter{module}")
    assert [name for name in NAMES[module] if not hasattr(found, name)] == []


def test_types_are_for_annotations():
    def load(descriptor: AudioDescriptor) -> Signal:
        return np.zeros((1, 2), np.float32), 44100

    assert load("x")[1] == 44100


def test_the_parameters_of_an_official_model():
    parameters = load_configuration("spleeter:5stems-16kHz")
    assert parameters["instrument_list"] == ["vocals", "piano", "drums", "bass", "other"]
    known = {"sample_rate": 44100, "frame_length": 4096, "frame_step": 1024, "T": 512, "F": 1536, "model_dir": "5stems"}
    assert {key: parameters[key] for key in known} == known
    assert parameters["model"]["type"] == "unet.softmax_unet"
    parameters["F"] = 0
    assert load_configuration("spleeter:5stems-16kHz")["F"] == 1536


@pytest.mark.parametrize("descriptor", ["spleeter:3stems", "spleeter:", "missing.json", None])
def test_parameters_of_nothing(descriptor, cache):
    with pytest.raises(SpleeterError):
        load_configuration(descriptor)


def test_parameters_that_a_script_changes_are_a_model_again(toy_json, tmp_path):
    parameters = load_configuration(str(toy_json))
    assert parameters == json.loads(toy_json.read_text())
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps({**parameters, "separation_exponent": 1}))
    mixture = noise(5000).T
    plain, soft = (Separator(str(path)).separate(mixture)["vocals"] for path in (toy_json, changed))
    assert np.abs(plain - soft).max() > 1e-3


def test_what_scripts_read_from_a_separator(toy_json):
    separator = Separator(str(toy_json), MWF=True)
    parameters = separator._params
    assert parameters["instrument_list"] == ["vocals", "accompaniment"]
    assert (parameters["frame_length"], parameters["frame_step"], parameters["MWF"]) == (256, 64, True)
    assert separator._sample_rate == parameters["sample_rate"] == 44100


def test_spectra_of_stems(toy_json):
    """As trackers of beats take them, frame by frame, and back again."""
    separator = Separator(str(toy_json))
    data = noise(5000).T
    spectra = separator._stft(data)
    padded = np.pad(data, [(256, 256), (0, 0)])
    assert spectra.shape == ((len(padded) - 256) // 64 + 1, 129, 2)
    window = np.sin(np.pi * np.arange(256) / 256) ** 2
    for frame in (0, 7, len(spectra) - 1):
        expected = np.fft.rfft(padded[64 * frame : 64 * frame + 256] * window[:, None], axis=0)
        np.testing.assert_allclose(spectra[frame], expected, atol=1e-4)
    np.testing.assert_allclose(separator._stft(spectra, inverse=True, length=5000), data, atol=1e-5)
    with pytest.raises(SpleeterError, match="length"):
        separator._stft(spectra, inverse=True)


def test_what_scripts_log_is_shown(capsys):
    logger = spleeters_logging.get_logger()
    assert logger is spleeters_logging.logger is logging.getLogger("spleeter")
    assert logger.level == logging.INFO
    logger.info("split %s", "song")
    assert capsys.readouterr().out == "INFO:spleeter:split song\n"
    try:
        spleeters_logging.enable_logging()
        spleeters_logging.configure_logger(False)
        assert logger.level == logging.INFO
        spleeters_logging.enable_tensorflow_logging()
        assert logger.level == logging.DEBUG
    finally:
        logger.setLevel(logging.INFO)

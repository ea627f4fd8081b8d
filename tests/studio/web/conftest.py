"""The exported site, for all tests of it."""

import pytest

from tests.audio.test_files import read
from unweave import Separator
from unweave.studio.web.export import LIBRARIES, export_site


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A folder with the site."""
    if not LIBRARIES.is_dir():
        pytest.skip("needs the web edition's libraries: make web-libraries")
    folder = tmp_path_factory.mktemp("web") / "site"
    export_site(folder)
    return folder


@pytest.fixture(scope="session")
def music():
    """Thirteen seconds of real music: (2, samples) at 44.1 kHz, in steps of 16 bits."""
    return (read("examples/song.mp3")[:, 5 * 44100 : 18 * 44100] * 32768).round() / 32768


@pytest.fixture(scope="session")
def native_stems():
    """What ``unweave separate`` makes of a waveform, with a model and a quality."""
    return lambda model, quality, waveform: dict(Separator(model, quality=quality).separate(waveform, 44100))

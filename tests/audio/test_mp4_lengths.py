"""MP4 and its kin: nothing is cut but the padding of the last packet, whatever clock the durations were counted by."""

import io
import itertools

import numpy as np
import pytest

from tests.audio.test_files import read
from tests.helpers.media import decoded, encoded, remuxed
from tests.helpers.signals import error_db, tones

N_SAMPLES = 100_003
SONG = tones(N_SAMPLES)

FIRST = {  # codec → containers whose clock is not the sample rate
    "aac": ("matroska", "flv", "mpegts"),
    "alac": ("matroska",),
    "flac": ("matroska",),
    "libopus": ("matroska", "mpegts"),
    "libmp3lame": ("matroska", "flv", "mpegts"),
    "ac3": ("matroska", "mpegts"),
    "pcm_s16le": ("matroska",),
}
TARGETS = {"alac": ("mp4", "mov", "ipod"), "aac": ("mp4", "mov", "ipod", "3gp"), "pcm_s16le": ("mov",)}
REMUXES = [
    (codec, first, target)
    for codec, containers in FIRST.items()
    for first, target in itertools.product(containers, TARGETS.get(codec, ("mp4",)))
]


@pytest.mark.parametrize("sample_rate", [44100, 48000])
@pytest.mark.parametrize(("codec", "first", "target"), REMUXES)
def test_remuxed_files_keep_every_sample(codec, first, target, sample_rate):
    rate = 48000 if codec == "libopus" else sample_rate
    raw = remuxed(encoded(SONG, first, codec, rate), target)
    back, whole = read(io.BytesIO(raw)), decoded(raw)
    # One packet's padding may go, where the container's clock happens to count it right; nothing in between.
    assert whole.shape[1] - 1152 < back.shape[1] <= whole.shape[1]
    np.testing.assert_allclose(back, whole[:, : back.shape[1]], atol=1e-6)


@pytest.mark.parametrize("first", ["matroska", "flv"])
def test_remuxed_aac_is_as_long_as_what_ffmpeg_decodes(first):
    raw = remuxed(encoded(SONG, first, "aac", 48000), "mp4")
    assert read(io.BytesIO(raw)).shape == decoded(raw).shape


WRITTEN = [
    (codec, container)
    for codec, containers in {
        "aac": ("mp4", "mov", "ipod", "3gp"),
        "alac": ("mp4", "mov", "ipod"),
        "flac": ("mp4",),
        "libopus": ("mp4",),
    }.items()
    for container in containers
]


@pytest.mark.parametrize(("codec", "container"), WRITTEN)
@pytest.mark.parametrize("fragments", [{}, {"movflags": "frag_keyframe+delay_moov", "frag_duration": "500000"}])
@pytest.mark.parametrize("n_samples", [700, 1024, 5000, N_SAMPLES])
def test_written_files_are_as_long_as_what_was_encoded(codec, container, fragments, n_samples):
    rate = 48000 if codec == "libopus" else 44100
    wanted = tones(N_SAMPLES, rate)[:, 2000 : 2000 + n_samples] if n_samples < N_SAMPLES else tones(N_SAMPLES, rate)
    raw = encoded(wanted, container, codec, rate, options={"movie_timescale": str(rate), **fragments})
    back = read(io.BytesIO(raw))
    assert back.shape == wanted.shape
    if n_samples == N_SAMPLES:
        assert error_db(back, wanted) < -25


@pytest.mark.parametrize("codec", ["alac", "flac", "pcm_s16le"])
def test_lossless_audio_is_never_cut(codec):
    """Its packets have no padding, whatever their durations say."""
    raw = remuxed(encoded(SONG, "matroska", codec, 48000), "mov" if codec == "pcm_s16le" else "mp4")
    assert read(io.BytesIO(raw)).shape == decoded(raw).shape


def test_the_first_packets_of_a_cut_file_are_not_taken_for_another_clock():
    """An edit list begins in the middle of a packet: it decodes to less than its duration, and the end is still cut."""
    raw = remuxed(
        encoded(SONG, "mp4", "aac", options={"movie_timescale": "44100"}), "mp4", {"movie_timescale": "44100"}
    )
    assert read(io.BytesIO(raw)).shape == SONG.shape

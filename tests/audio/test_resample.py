import numpy as np
import pytest

from tests.helpers.signals import error_db, noise, tones
from unweave.audio.resample import Resampler, resampled_length


def resample(waveform, rate_in, rate_out, sizes):
    resampler, parts, start = Resampler(rate_in, rate_out, len(waveform)), [], 0
    while start < waveform.shape[1]:
        size = sizes[len(parts) % len(sizes)]
        parts.append(resampler.push(waveform[:, start : start + size]))
        start += size
    return np.concatenate([*parts, resampler.flush(len(waveform))], axis=1)


@pytest.mark.parametrize("n_samples", [0, 1, 100, 31_999])
@pytest.mark.parametrize(("rate_in", "rate_out"), [(48000, 44100), (8000, 44100), (44100, 96000), (44100, 44100)])
def test_in_pieces_equals_in_one_shot(n_samples, rate_in, rate_out):
    waveform = noise(n_samples)
    whole = resample(waveform, rate_in, rate_out, [max(1, n_samples)])
    np.testing.assert_array_equal(resample(waveform, rate_in, rate_out, [7, 1000, 333]), whole)
    assert abs(whole.shape[1] - resampled_length(n_samples, rate_in, rate_out)) <= 1


def test_there_and_back_is_where_it_was():
    waveform = tones(48_000, 48_000)
    back = resample(resample(waveform, 48000, 44100, [5000]), 44100, 48000, [5000])[:, :48_000]
    assert error_db(back, waveform) < -80

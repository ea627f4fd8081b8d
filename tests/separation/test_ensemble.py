import dataclasses

import numpy as np
import pytest

from tests.audio.test_files import read, write
from tests.helpers.signals import noise
from tests.helpers.toys import TOY, TOY_FOUR, write_toy
from unweave import OptionError, Separator
from unweave.separation.ensemble import Member, parse_ensemble
from unweave.separation.stream import StreamFormat

FORM = StreamFormat(44100, 2, 44100, 2)


@pytest.fixture
def models(tmp_path, cache):
    """Two two-stem toys with segments of different lengths, and a four-stem one."""
    paths = []
    for number, spec in enumerate((TOY, dataclasses.replace(TOY, n_frames=128), TOY_FOUR)):
        folder = tmp_path / str(number)
        folder.mkdir()
        paths.append(str(write_toy(folder, spec, seed=number)))
    return paths


def test_the_mean_of_both(models):
    mixture = noise(50_000)
    first, second = (Separator(path, quality="exact").separate(mixture, 44100) for path in models[:2])
    both = Separator(f"{models[0]}*3 + {models[1]}", quality="exact").separate(mixture, 44100)
    assert tuple(both) == TOY.stems
    for name, stem in both.items():
        np.testing.assert_allclose(stem, (3 * first[name] + second[name]) / 4, atol=1e-6)


def test_stems_of_both(models):
    separator = Separator(f"{models[0]}+{models[2]}", quality="balanced")
    assert separator.stems == ("vocals", "drums", "bass", "other")
    mixture = noise(30_000)
    stems = separator.separate(mixture, 44100)
    np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)
    assert tuple(separator.separate(mixture, 44100, stems=["drums"])) == ("drums",)


@pytest.mark.parametrize("sizes", [(700,), (4096, 13)])
def test_streamed(models, sizes):
    separator = Separator("+".join(models[:2]))
    mixture = noise(20_000)
    whole, stream, parts, start = separator.separate(mixture, 44100), separator.stream(44100), [], 0
    while start < 20_000:
        parts.append(stream.push(mixture[:, start : start + sizes[len(parts) % len(sizes)]]))
        start += sizes[(len(parts) - 1) % len(sizes)]
    parts.append(stream.flush())
    for name, stem in whole.items():
        np.testing.assert_allclose(np.concatenate([part[name] for part in parts], axis=1), stem, atol=1e-6)


def test_files_and_the_wiener_filter(models, tmp_path):
    path = write(tmp_path / "x.wav", noise(30_000))
    seen = []
    paths = Separator("+".join(models[:2]), wiener="track", residual=True).separate_file(
        path, tmp_path / "out", on_progress=lambda progress: seen.append(progress.done_seconds)
    )
    assert list(paths) == ["vocals", "accompaniment", "residual"]
    assert read(paths["vocals"]).shape == (2, 30_000)
    assert seen == sorted(seen)
    assert 0.9 < seen[-1] / (30_000 / 44100) < 1.2  # two passes that learn and one that separates


def test_parsing():
    assert parse_ensemble("a + b*2") == [Member("a"), Member("b", 2.0)]
    for text in ("a+", "a*x+b", "a*-1+b", "+a"):
        with pytest.raises(OptionError, match="expected models and weights"):
            parse_ensemble(text)


def test_an_unknown_stem_is_named(models):
    with pytest.raises(OptionError, match="kazoo"):
        Separator("+".join(models[:2])).separate(noise(100), 44100, stems=["kazoo"])


@pytest.mark.parametrize("n_shifts", [2, 3])
def test_shifts_are_evenly_spaced_over_a_hop(models, n_shifts):
    """A shifted run is a run over the mixture with as much silence in front."""
    mixture = noise(30_000)
    separator = Separator(models[0], quality="exact")
    hop = separator.loaded[0].separator.segmentation.hop
    averaged = Separator(models[0], quality="exact", shifts=n_shifts).separate(mixture, 44100)
    for name, stem in averaged.items():
        runs = []
        for silence in (k * hop // n_shifts for k in range(n_shifts)):
            late = np.pad(mixture, [(0, 0), (silence, 0)])
            runs.append(separator.separate(late, 44100)[name][:, silence:])
        np.testing.assert_allclose(stem, np.mean(runs, axis=0), atol=1e-6)
        assert np.abs(runs[1] - runs[0]).max() > 1e-3


def test_shifts_average_other_surroundings(models):
    mixture = noise(30_000)
    plain = Separator(models[0], quality="exact").separate(mixture, 44100)
    averaged = Separator(models[0], quality="exact", shifts=3).separate(mixture, 44100)
    for name, stem in averaged.items():
        assert stem.shape == plain[name].shape
        assert 0 < np.abs(stem - plain[name]).max() < 0.5
    total = sum(Separator(models[0], shifts=2).separate(mixture, 44100).values())
    np.testing.assert_allclose(total, mixture, atol=1e-6)
    with pytest.raises(OptionError, match="shifts"):
        Separator(models[0], shifts=0)


@pytest.mark.parametrize("options", [{}, {"shifts": 2}, {"wiener": "segment"}])
def test_progress_ends_at_the_end(models, options):
    seen = []
    separator = Separator("+".join(models[:2]), **options)
    separator.separate(noise(30_000), 44100, on_progress=lambda progress: seen.append(progress.done_seconds))
    assert seen[-1] == pytest.approx(30_000 / 44100)


def test_what_is_left_of_the_mixture_goes_to_the_rest(models):
    mixture = noise(30_000)
    for names in (models[:2], models[:2][::-1], [models[0], models[2]]):
        balanced = Separator("+".join(names))
        rest = "accompaniment" if "accompaniment" in balanced.stems else "other"
        stems, dropped = balanced.separate(mixture, 44100), balanced._pipeline.stream(FORM, balanced.stems)
        parts = [dropped.push(mixture), *dropped.drain()]
        for name, stem in stems.items():
            if name != rest:
                np.testing.assert_array_equal(stem, np.concatenate([part[name] for part in parts], axis=1))
        np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)


def test_live_is_for_one_model(models):
    with pytest.raises(OptionError, match="only a single model"):
        Separator("+".join(models[:2])).live()


def test_a_file_with_a_plus_in_its_name_is_one_model(tmp_path, cache):
    folder = tmp_path / "a+b"
    folder.mkdir()
    separator = Separator(write_toy(folder, TOY))
    assert separator.stems == TOY.stems

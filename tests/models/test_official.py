"""What the list says of the official models, in full: nothing else says it."""

import dataclasses
import re

import pytest

from unweave.errors import DownloadError, UnknownModelError
from unweave.models.catalogue.official import find_spec, find_weights, model_with, specs, weights_names
from unweave.models.hub import ensure_weights
from unweave.models.listing import list_models

TWO, FOUR = ("vocals", "accompaniment"), ("vocals", "drums", "bass", "other")
FIVE_OF_DEEZER, OUR_FIVE = ("vocals", "piano", "drums", "bass", "other"), ("vocals", "drums", "bass", "piano", "other")


def test_deezers_models_as_deezer_describes_them():
    for name, stems in (("2stems", TWO), ("4stems", FOUR), ("5stems", FIVE_OF_DEEZER)):
        spec, wide = find_spec(f"spleeter:{name}"), find_spec(f"spleeter:{name}-16kHz")
        assert (spec.weights, spec.stems, spec.licence, spec.n_bins) == (name, stems, "MIT", 1024)
        assert dataclasses.replace(wide, name=spec.name, n_bins=1024, summary=spec.summary) == spec
        assert wide.n_bins == 1536
        assert "up to 11 kHz" in spec.summary
        assert "up to 16 kHz" in wide.summary
        assert (spec.network, spec.n_fft, spec.hop_length, spec.n_frames) == ("unets", 4096, 1024, 512)
        assert (spec.mask_exponent, spec.mask_extension, spec.is_classic) == (2.0, "zeros", True)
    two, five = find_spec("spleeter:2stems"), find_spec("spleeter:5stems")
    assert (two.head, two.encoder_activation, two.decoder_activation) == ("sigmoid", "leaky_relu", "relu")
    assert (five.head, five.encoder_activation, five.decoder_activation) == ("softmax", "elu", "elu")


def test_our_models():
    five, four = find_spec("unweave:5stems"), find_spec("unweave:4stems")
    assert (five.weights, five.stems, five.licence, five.before) == ("open5", OUR_FIVE, "CC-BY-SA-4.0", "")
    assert (four.weights, four.stems, four.licence) == ("open5", FOUR, "CC-BY-SA-4.0")
    assert (four.network_stems, four.folds) == (OUR_FIVE, (("piano", "other"),))
    assert (five.network, five.is_classic) == ("bands", False)
    for spec in (four, five):
        cascade = find_spec(f"{spec.name}-cascade")
        assert cascade.before == "spleeter:2stems"
        assert dataclasses.replace(cascade, name=spec.name, before="", summary=spec.summary) == spec


def test_only_the_original_is_classic():
    classic = find_spec("spleeter:4stems")
    for change in ({"attention_gates": True}, {"residual_blocks": True}, {"network": "bands"}):
        assert not dataclasses.replace(classic, **change).is_classic


def test_the_licence_of_htdemucs_asks_for_consent():
    spec = find_spec("htdemucs")
    assert (spec.licence, spec.needs_consent, spec.stems) == ("research", True, ("drums", "bass", "other", "vocals"))
    assert "research use only" in spec.notes


# The checksums that Spleeter itself publishes for its archives.
CHECKSUMS = {
    "2stems": "f3a90b39dd2874269e8b05a48a86745df897b848c61f3958efc80a39152bd692",
    "4stems": "3adb4a50ad4eb18c7c4d65fcf4cf2367a07d48408a5eb7d03cd20067429dfaa8",
    "5stems": "25a1e87eb5f75cc72a4d2d5467a0a50ac75f05611f877c278793742513cc7218",
}


@pytest.mark.parametrize("name", CHECKSUMS)
def test_where_deezers_weights_come_from(monkeypatch, name):
    for variable in ("GITHUB_HOST", "GITHUB_REPOSITORY", "GITHUB_RELEASE"):
        monkeypatch.delenv(variable, raising=False)
    source = find_weights(name).sources[0]
    assert source.location == f"https://github.com/deezer/spleeter/releases/download/v1.4.0/{name}.tar.gz"
    assert (source.kind, source.sha256) == ("archive", CHECKSUMS[name])
    monkeypatch.setenv("GITHUB_HOST", "https://mirror")
    monkeypatch.setenv("GITHUB_REPOSITORY", "me/fork")
    monkeypatch.setenv("GITHUB_RELEASE", "v2")
    chosen, usual = find_weights(name).sources[:2]
    assert chosen.location == f"https://mirror/me/fork/releases/download/v2/{name}.tar.gz"
    assert chosen.sha256 == CHECKSUMS[name]
    assert usual == source


def test_weights_are_found_where_github_runs_something(monkeypatch, cache, tmp_path):
    """There GITHUB_REPOSITORY is the repository whose tests run."""
    monkeypatch.setenv("GITHUB_REPOSITORY", "me/app")
    monkeypatch.setenv("GITHUB_HOST", "")
    locations = [source.location for source in find_weights("4stems").sources]
    file = "releases/download/v1.4.0/4stems.tar.gz"
    assert locations == [f"https://github.com/me/app/{file}", f"https://github.com/deezer/spleeter/{file}"]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DownloadError, match=f"by hand: download {re.escape(locations[1])} on any machine"):
        ensure_weights("4stems", offline=True)


def test_names_that_nobody_knows():
    with pytest.raises(UnknownModelError, match="called 'x'; the models are spleeter:2stems"):
        find_spec("x")
    with pytest.raises(UnknownModelError, match="no weights called 'x'; there are 2stems, 4stems, 5stems"):
        find_weights("x")
    assert weights_names() == ["2stems", "4stems", "5stems", "open5", "htdemucs"]
    assert [model_with(name) for name in ("2stems", "open5", "x")] == ["spleeter:2stems", "unweave:4stems", "x"]


def test_what_must_be_fetched_before_a_model_can_run(cache):
    """In an empty cache: everything but what is in the package."""
    listed = {model.name: model for model in list_models()[: len(specs())]}
    assert list(listed) == list(specs())
    sizes = {
        name: sum(file.size for file in find_weights(name).files) for name in ("2stems", "4stems", "5stems", "htdemucs")
    }
    assert {name: model.missing_bytes for name, model in listed.items()} == {
        **{f"spleeter:{name}{wide}": sizes[name] for name in CHECKSUMS for wide in ("", "-16kHz")},
        "unweave:4stems": 0,
        "unweave:4stems-cascade": sizes["2stems"],
        "unweave:5stems": 0,
        "unweave:5stems-cascade": sizes["2stems"],
        "htdemucs": sizes["htdemucs"],
    }
    for model in listed.values():
        assert model.is_here == (model.missing_bytes == 0)
        assert not model.is_added
        assert (model.spec, model.problem) == (specs()[model.name], "")

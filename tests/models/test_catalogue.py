"""The list of models: facts that belong together, that can be used, and nothing that must not be listed."""

import importlib
import re

import pytest

from tests.families.checkpoint_files import tensors_of
from tests.families.roformer.test_recognise import published as roformer
from tests.families.scnet.test_recognise import LARGE, XL_IHF
from unweave.families.foreign import FAMILIES
from unweave.families.scnet import Spec as SCNetSpec
from unweave.models.added import check_name
from unweave.models.catalogue import entries, find_entry, published
from unweave.models.catalogue.official import KINDS, SHORT_NAMES, specs
from unweave.models.validate import check_stems

ENTRIES = entries()
# The community's guide says that it was taken out of a commercial program.
ILLICIT = re.compile(r"rofo[-_]?(former)?[-_]?sw|logic_bs_roformer|roformer_sw|56c13142|24e7d35e", re.IGNORECASE)


@pytest.mark.parametrize("name", ENTRIES)
def test_what_is_said_of_a_model(name):
    entry = ENTRIES[name]
    check_stems(entry.stems, "stems")
    assert len(entry.summary) > 3
    assert entry.family in (KINDS if name in specs() else FAMILIES)
    licence = entry.licence
    assert licence.name == "unknown" or (licence.stated_in and licence.stated_on), "who said so, and when"
    assert entry.needs_consent == (licence.name in ("unknown", "research", "CC-BY-NC-SA-4.0"))
    assert all(score.sdr and score.test_set and score.source for score in entry.scores)
    assert all(
        set(score.sdr) <= set(entry.stems) | {"instrumental", "vocals", "bass", "drums"} for score in entry.scores
    )


@pytest.mark.parametrize("name", published())
def test_where_its_files_are(name):
    check_name(name)  # it is that of a folder
    for download in published()[name].downloads:
        assert len({file.name for file in download.all_files}) == len(download.all_files)
        for file in download.all_files:
            assert re.fullmatch(r"[\w.-]+", file.name)
            assert re.fullmatch(r"([0-9a-f]{8}|[0-9a-f]{64})?", file.sha256)
            assert file.sources
            for source in file.sources:
                if source.kind == "hub":
                    assert re.fullmatch(r"[\w.-]+/[\w.-]+", source.location)
                    assert re.fullmatch(r"[0-9a-f]{40}|", source.revision), "a revision is a commit, or is not known"
                else:
                    assert source.location.startswith("https://")


@pytest.mark.parametrize("name", published())
def test_settings_come_with_the_families_that_need_them(name):
    entry = published()[name]
    if entry.family in ("roformer", "scnet", "mdx23c"):
        assert all(download.configuration or download.settings for download in entry.downloads)


def test_no_name_means_two_models():
    names = [name.casefold() for entry in ENTRIES.values() for name in {entry.name, *entry.aliases}]
    assert len(set(names)) == len(names)
    assert not set(names) & set(SHORT_NAMES)


def test_what_must_not_be_listed():
    assert not [name for name, entry in ENTRIES.items() if ILLICIT.search(repr(entry))]
    assert ILLICIT.search("BS-Rofo-SW-Fixed.ckpt")
    assert find_entry("BS-Roformer-SW.ckpt") is None


def test_names_of_other_tools():
    assert find_entry("vocals_mel_band_roformer.ckpt").name == "melband-kim"
    assert find_entry("MODEL_BS_ROFORMER_EP_317_SDR_12.9755.CKPT").name == "bs-roformer-317"
    assert find_entry("htdemucs_ft.yaml").name == "htdemucs_ft"
    assert find_entry("no such model") is None


def test_most_recommended_models_can_be_had():
    recommended = [entry for entry in published().values() if entry.is_recommended]
    assert len(recommended) > 8
    assert all(entry.download for entry in recommended)


# What the settings in the list must make of weights of the published shapes: hop, segment, stems, complement.
KNOWN = [
    ("melband-kim", 0, roformer("mel", 384, 6, hidden=2), (441, 352_800, ("vocals",), "other")),
    ("melband-kim", 1, roformer("mel", 384, 6, hidden=2), (441, 352_800, ("vocals",), "other")),
    ("bs-roformer-anvuew", 1, roformer("bs", 256, 12), (512, 960_000, ("vocals",), "other")),
    (
        "scnet-xl-ihf",
        1,
        SCNetSpec("x", ("drums", "bass", "other", "vocals"), **{**LARGE, **XL_IHF, "band_shares": (0.23, 0.37, 0.4)}),
        (1024, 485_100, ("drums", "bass", "other", "vocals"), ""),
    ),
]


@pytest.mark.parametrize(("name", "number", "spec", "expected"), KNOWN, ids=[f"{row[0]} {row[1]}" for row in KNOWN])
def test_settings_in_the_list_fit_the_published_weights(tmp_path, name, number, spec, expected):
    entry = published()[name]
    download = entry.downloads[number]
    tensors = tensors_of(tmp_path, spec.shapes)
    assert abs(4 * tensors.n_values / download.files[0].size - 1) < 0.004
    family = importlib.import_module(f"unweave.families.{entry.family}")
    found = family.recognise(tensors, download.settings, name)
    assert (found.hop_length, found.segment_samples, found.stems, getattr(found, "complement", "")) == expected
    assert (*found.stems, found.complement) == entry.stems if found.complement else found.stems == entry.stems

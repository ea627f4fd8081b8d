"""Which audio track of a file is meant."""

from __future__ import annotations

from collections.abc import Sequence

import av
from av.stream import Disposition

from unweave.audio.recognise import no_such_track
from unweave.errors import AudioReadError

# Tracks for some listeners only, which a player does not choose by itself.
SPECIAL = Disposition.comment | Disposition.hearing_impaired | Disposition.visual_impaired | Disposition.clean_effects


def choose_track(container: av.container.InputContainer, number: int | None, name: str) -> int:
    """The place of track ``number`` (from 0; None: the default track) among the audio streams of ``container``.

    At least one of them must be usable (see `is_usable`). The default track is the first that is marked as the default;
    without such a mark it is the first that is not a commentary or a description. Tracks that cannot be decoded are
    passed over. Raises `AudioReadError` for a track that is not there or cannot be decoded.
    """
    tracks = container.streams.audio
    usable = [place for place, track in enumerate(tracks) if is_usable(track)]
    if number is None:
        return _default(tracks, usable)
    if number >= len(tracks):
        raise no_such_track(name, len(tracks), number)
    if number not in usable:
        raise AudioReadError(f"cannot read {name}: the audio of track {number + 1} has no sample rate or no channels")
    return number


def is_usable(track: av.AudioStream) -> bool:
    """Whether there is a decoder for a track, and its sample rate and channels are known."""
    try:
        context = track.codec_context
        return int(context.sample_rate) > 0 and int(context.layout.nb_channels) > 0
    except (ValueError, AttributeError, TypeError):
        return False


def _default(tracks: Sequence[av.AudioStream], usable: Sequence[int]) -> int:
    def rank(place: int) -> tuple[bool, bool, int]:
        disposition = tracks[place].disposition
        return not disposition & Disposition.default, bool(disposition & SPECIAL), place

    return min(usable, key=rank)

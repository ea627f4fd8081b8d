"""Any audio file → blocks of float32 samples."""

from __future__ import annotations

import io
import itertools
import logging
from collections.abc import Iterator
from contextlib import closing, suppress
from types import TracebackType

import numpy as np

from unweave.audio.arguments import checked_duration, checked_offset, checked_track
from unweave.audio.channels import to_mono, to_stereo
from unweave.audio.decoder import Decoder, Piece
from unweave.audio.links import WHOLE, Link, find_links, is_vorbis_of_one_page
from unweave.audio.plain_wav import PlainWavDecoder, read_plain_wav
from unweave.audio.recognise import unreadable
from unweave.audio.resample import Resampler
from unweave.audio.sources import AudioSource as AudioSource
from unweave.audio.sources import Source, reason
from unweave.audio.tags import Tags
from unweave.audio.wav_header import count_surplus_bytes, read_wav_header
from unweave.errors import AudioReadError
from unweave.types import Waveform

log = logging.getLogger(__name__)

BLOCK_SAMPLES = 1 << 16

CHECKED_BYTES = 1 << 20

MOST_LINKS = 10_000  # weeks of web radio: what has more is made to keep a program busy

# AIFF and Sun's AU have kinds that only libsndfile reads: 24 and 32 bits, little end first. So has Core Audio: ALAC of
# libsndfile's own, where the last packet is full.
UNKNOWN_TO_FFMPEG = (b"FORM", b"dns.", b"caff")

# Hz, up to 5.6 MHz of the finest DSD. A second of what states less would become thousands of times its size.
RATES = range(1000, 6_000_001)

# No recording reaches 80 dB above full scale: such samples are bytes that mean something else.
LOUDEST = 1e4

# Headers may be off by a packet or two; what lacks more than this was cut off, or has holes.
MISSING_SECONDS, MISSING_SHARE = 0.5, 0.01
MISSING_BYTES = 1 << 16  # a third of a second of PCM


class AudioReader:
    """Reads an audio track of a file as blocks of float32 (channels, samples).

    ``stream`` is the number of the track, starting from 0; None means the file's default track. Mono stays one channel
    and stereo two; surround is downmixed to two. Encoder delay and padding are removed, so that the length is that of
    the audio that was encoded. If a track changes its channels or its sample rate midway, it is converted to those it
    started with, and a warning is logged. Files that were joined end to end are read to their end (see `find_links`).

    ``offset_seconds`` (at least 0) and ``duration_seconds`` (above 0) select a part, accurate to the sample. Use the
    reader as a context manager; it can be iterated once, while it is open. ``only_audio`` refuses anything that is not
    a known kind of audio file. It is meant for files from strangers, since playlists, for example, make FFmpeg open
    other files.

    Raises `OptionError` for an offset, a duration or a track number that makes no sense, and `AudioReadError` for a
    source that is missing, has no such track, cannot be decoded at all, or has nothing in the selected part. Damaged
    packets are skipped, and NaN or infinite samples are replaced by silence, with one warning in the log for each.
    """

    def __init__(
        self,
        source: AudioSource,
        *,
        offset_seconds: float = 0.0,
        duration_seconds: float | None = None,
        stream: int | None = None,
        only_audio: bool = False,
    ) -> None:
        offset_seconds, duration_seconds = checked_offset(offset_seconds), checked_duration(duration_seconds)
        stream = checked_track(stream)
        self._given = source
        self._seconds = (offset_seconds, duration_seconds)
        self._only_audio, self._stream = only_audio, stream
        self._source = Source(source)
        self.name = self._source.name
        try:
            self._links = self._find_links()
            self._decoder = self._open(self._links[0], stream)
        except OSError as error:  # a disk that fails, a share that is gone
            self._source.close()
            raise AudioReadError(f"cannot read {self.name}: {reason(error)}") from error
        except BaseException:
            self._source.close()
            raise
        self._number = getattr(self._decoder, "track", stream)  # the default track by its number, where FFmpeg chose
        self._stated = self._decoder.stated_seconds if len(self._links) == 1 else None
        self.sample_rate: int
        self.n_channels: int
        self._is_begun = self._is_closed = False
        self.is_incomplete = False  # whether sound was missing or damaged in what has been read so far
        self._decoded = self._pieces()
        self._peeked: list[Piece | None] = []
        try:
            self.sample_rate, self.n_channels = self._begin()
            if self.sample_rate not in RATES:
                raise AudioReadError(
                    f"cannot read {self.name}: its header says {self.sample_rate} samples a second, which is no sound"
                )
        except BaseException:
            self.close()
            raise
        self._first = round(offset_seconds * self.sample_rate)
        self._last = None if duration_seconds is None else self._first + round(duration_seconds * self.sample_rate)
        if self._first == self._last:
            self.close()
            raise AudioReadError(
                f"cannot read {self.name}: a part of {duration_seconds:g} s is shorter than one sample at "
                f"{self.sample_rate} Hz"
            )

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._is_closed = True
        self._decoder.close()
        self._source.close()

    def again(self) -> Iterator[Waveform]:
        """The same blocks once more, in a separate pass that must come before this reader itself is iterated.

        Raises `AudioReadError` for pipes and file objects that cannot seek.
        """
        if not self._source.is_seekable:
            raise AudioReadError(f"cannot read {self.name} twice: it cannot seek")
        offset, duration = self._seconds
        with (
            self._source.kept_position(),
            AudioReader(
                self._given,
                offset_seconds=offset,
                duration_seconds=duration,
                stream=self._number,
                only_audio=self._only_audio,
            ) as reader,
        ):
            yield from reader

    @property
    def expected_seconds(self) -> float | None:
        """How long the audio seems to be before it is read; headers may be wrong. None if nothing is known."""
        whole = self._whole_seconds()
        if whole is None:
            return None if self._last is None else (self._last - self._first) / self.sample_rate
        rest = max(0.0, whole - self._first / self.sample_rate)
        return rest if self._last is None else min(rest, (self._last - self._first) / self.sample_rate)

    @property
    def tags(self) -> Tags:
        """What the file says about its music. File objects are only read once, so there is no picture for them."""
        return self._decoder.tags

    def __iter__(self) -> Iterator[Waveform]:
        """Blocks of about `BLOCK_SAMPLES` samples, the part that was asked for."""
        if self._is_begun:
            raise AudioReadError(f"cannot read {self.name} twice: open it again")
        self._is_begun = True
        position = n_chosen = 0
        pending: list[Waveform] = []
        n_pending = 0
        for waveform in self._waveforms():
            start, stop = max(0, self._first - position), waveform.shape[1]
            if self._last is not None:
                stop = min(stop, self._last - position)
            position += waveform.shape[1]
            if stop > start:
                pending.append(waveform[:, start:stop])
                n_pending += stop - start
                n_chosen += stop - start
            if n_pending >= BLOCK_SAMPLES:
                yield _joined(pending)
                pending, n_pending = [], 0
            if self._last is not None and position >= self._last:
                break
        if pending:
            yield _joined(pending)
        if n_chosen == 0:
            raise AudioReadError(
                f"cannot read {self.name}: it is {position / self.sample_rate:.1f} s long, so there is nothing from "
                f"{self._seconds[0]:g} s on"
            )

    def _find_links(self) -> tuple[Link, ...]:
        if not self._source.is_seekable:
            return (WHOLE,)
        with closing(self._source.file()) as file:
            links = find_links(file)
        if len(links) > MOST_LINKS:
            raise AudioReadError(
                f"cannot read {self.name}: it seems to be {len(links)} files joined end to end, of which at most "
                f"{MOST_LINKS} can be read"
            )
        return links

    def _open(self, link: Link, stream: int | None) -> Decoder:
        """The decoder that reads a link of the file right; most files are one link."""
        seekable = self._source.is_seekable
        if seekable and link == WHOLE:
            with closing(self._source.file()) as file:
                plain = read_plain_wav(file)
            if plain is not None:
                return PlainWavDecoder(self._source, plain, stream=stream)
        from unweave.audio.ffmpeg import FFmpegDecoder  # a tenth of a second to import, which plain files do without
        from unweave.audio.libsndfile import SoundFileDecoder

        with closing(self._source.file(link.start, link.stop) if seekable else io.BytesIO(self._source.head)) as file:
            header = read_wav_header(file)
            is_vorbis = seekable and not self._only_audio and is_vorbis_of_one_page(file)
        if header is not None and header.is_contradictory:
            raise AudioReadError(
                f"cannot read {self.name}: its header contradicts itself; it says {header.bits} bits per sample in "
                f"blocks of {header.block_bytes} bytes for {header.n_channels} channels"
            )
        if header is not None and header.is_misread_by_ffmpeg:
            if not seekable:
                raise AudioReadError(
                    f"cannot read {self.name}: this kind of WAV can only be read from a file, not a pipe"
                )
            return SoundFileDecoder(self._source, link, stream=stream)
        if is_vorbis:
            with suppress(AudioReadError):
                return SoundFileDecoder(self._source, link, stream=stream)
        libsndfile_may = seekable and not self._only_audio and self._source.head.startswith(UNKNOWN_TO_FFMPEG)
        try:
            decoder = FFmpegDecoder(self._source, stream=stream, only_audio=self._only_audio, link=link)
        except AudioReadError:
            if not libsndfile_may:
                raise
            return SoundFileDecoder(self._source, link, stream=stream)
        if libsndfile_may and decoder.is_alac_in_caf:
            with suppress(AudioReadError):
                other = SoundFileDecoder(self._source, link, stream=stream)
                if (other.seconds or 0) > (decoder.seconds or 0):
                    decoder.close()
                    return other
                other.close()
        return decoder

    def _whole_seconds(self) -> float | None:
        if len(self._links) == 1:
            return self._decoder.seconds
        total = 0.0
        for link in self._links:
            try:
                decoder = self._open(link, self._stream)
            except AudioReadError:
                continue
            total += decoder.seconds or 0.0
            decoder.close()
        return total or None

    def _begin(self) -> tuple[int, int]:
        """The sample rate, and the number of channels, which is the most that is known of.

        They are those of the first samples: a header may tell those of a later part, or be wrong.
        """
        first = None
        for piece in self._decoded:
            self._peeked.append(piece)
            if piece is not None:
                first = piece
                break
        if first is None:
            return self._decoder.sample_rate, min(2, self._decoder.n_channels)
        n_channels = len(first.waveform)
        if self._decoder.is_headless:  # its number of channels was gathered from many frames
            n_channels = max(n_channels, self._decoder.n_channels)
        for link in self._links[1:]:
            try:
                decoder = self._open(link, self._stream)
            except AudioReadError:
                continue
            n_channels = max(n_channels, decoder.n_channels)
            decoder.close()
        return first.sample_rate, min(2, n_channels)

    def _pieces(self) -> Iterator[Piece | None]:
        """What is decoded from the whole file, one link after the other."""
        yield from self._pieces_of(self._decoder)
        for link in self._links[1:]:
            self._decoder.close()
            try:
                self._decoder = self._open(link, self._stream)
            except AudioReadError as error:
                self._miss("part of it was left out: %s", error)
                continue
            yield from self._pieces_of(self._decoder)

    def _pieces_of(self, decoder: Decoder) -> Iterator[Piece | None]:
        for piece in decoder.pieces():
            yield piece if piece is None or piece.sample_rate in RATES else None
            if self._is_closed:  # as when a generator outlives the reader: FFmpeg would crash
                raise AudioReadError(f"cannot read {self.name}: it has been closed")
        self.is_incomplete |= decoder.stopped_early

    def _waveforms(self) -> Iterator[Waveform]:
        """What is decoded, in the channels and at the rate that the file began with."""
        damaged = non_finite = 0
        n_decoded = 0.0  # in samples of the rate that the file began with
        first: Piece | None = None
        warned = False
        resampler: Resampler | None = None
        rate = self.sample_rate
        for piece in itertools.chain(self._peeked, self._decoded):
            if piece is None:
                damaged += 1
                continue
            first = first or piece
            changed = piece.sample_rate != rate
            if changed and resampler is not None:
                yield resampler.flush(self.n_channels)
            if changed:
                rate = piece.sample_rate
                is_other = rate != self.sample_rate
                resampler = Resampler(rate, self.sample_rate, self.n_channels) if is_other else None
            if not warned and (piece.sample_rate, len(piece.waveform)) != (self.sample_rate, len(first.waveform)):
                warned = True
                log.warning(
                    "%s changes midway to %d channels at %d Hz; all of it is converted to %d channels at %d Hz",
                    self.name,
                    len(piece.waveform),
                    piece.sample_rate,
                    self.n_channels,
                    self.sample_rate,
                )
            waveform, n_silenced = self._sound(piece.waveform)
            non_finite += n_silenced
            n_decoded += waveform.shape[1] * self.sample_rate / rate
            waveform = self._fold(waveform, piece.speakers)
            if resampler is None:
                yield waveform
                continue
            n_at_once = max(1, BLOCK_SAMPLES * rate // self.sample_rate)  # which are a block at the other rate
            for start in range(0, waveform.shape[1], n_at_once):
                yield resampler.push(waveform[:, start : start + n_at_once])
        if resampler is not None:
            yield resampler.flush(self.n_channels)
        if n_decoded == 0:
            raise unreadable(self._source, "it contains no audio samples")
        self._warn_of_what_is_missing(n_decoded)
        if damaged:
            self._miss("%d damaged packets were skipped", damaged)
        if non_finite:
            log.warning("%s: %d samples that are not finite numbers were replaced by silence", self.name, non_finite)
        self._check_that_it_can_be_read()

    def _check_that_it_can_be_read(self) -> None:
        """Raise `AudioReadError` where sound is missing because a disk or share fails, which FFmpeg takes for the end.

        The song may be whole: what has been separated of it must not pass for all that there is.
        """
        if not self.is_incomplete or not self._source.is_path:
            return
        try:
            with closing(self._source.file()) as file:
                while file.read(CHECKED_BYTES):
                    pass
        except OSError as error:
            raise AudioReadError(f"cannot read {self.name} to its end: {reason(error)}") from error

    def _warn_of_what_is_missing(self, n_decoded: float) -> None:
        seconds = n_decoded / self.sample_rate
        is_one = self._links == (WHOLE,)
        n_surplus = 0
        if is_one and self._source.is_seekable:
            with suppress(OSError), closing(self._source.file()) as file:
                n_surplus = count_surplus_bytes(file)
        if n_surplus > MISSING_BYTES:
            log.warning(
                "%s: its header gives too small a size; the last %.1f MB were not read", self.name, n_surplus / 1e6
            )
        elif n_surplus < -MISSING_BYTES:
            self._miss("the last %.1f MB are missing; the file may be incomplete", -n_surplus / 1e6)
        if self._stated is None or self._stated - seconds <= max(MISSING_SECONDS, MISSING_SHARE * self._stated):
            return
        self._miss(
            "only %.1f of the %.1f s that its header promises could be read; the file may be incomplete",
            seconds,
            self._stated,
        )

    def _miss(self, message: str, *values: object) -> None:
        """Sound is missing: say so, and remember it."""
        self.is_incomplete = True
        log.warning(f"%s: {message}", self.name, *values)

    def _sound(self, waveform: Waveform) -> tuple[Waveform, int]:
        """Samples that can be sound, and how many could not and are silent now.

        Raises `AudioReadError` where stored samples are beyond all reason: the file is not what its header says.
        """
        if not waveform.size or max(waveform.max(), -waveform.min()) <= LOUDEST:  # False for NaN, too
            return waveform, 0
        is_finite = np.isfinite(waveform)
        peak = np.abs(waveform, where=is_finite, out=np.zeros_like(waveform))
        if self._decoder.stores_samples and peak.max() > LOUDEST:
            raise AudioReadError(
                f"cannot read {self.name}: its samples reach {peak.max():.3g} times full scale, so it is damaged or "
                "not what its header says"
            )
        is_sound = is_finite & (peak <= LOUDEST)
        return np.where(is_sound, waveform, np.float32(0)), int(np.count_nonzero(~is_sound))

    def _fold(self, waveform: Waveform, speakers: tuple[str, ...] | None) -> Waveform:
        if len(waveform) <= 2 and len(waveform) == self.n_channels:
            return waveform
        stereo = to_stereo(waveform, speakers)
        return stereo if self.n_channels == 2 else to_mono(stereo)


def _joined(waveforms: list[Waveform]) -> Waveform:
    return waveforms[0] if len(waveforms) == 1 else np.concatenate(waveforms, axis=1)

"""Files with several audio tracks: the default one, or the one that is asked for."""

import io

import av
import numpy as np
import pytest
from av.stream import Disposition

from tests.audio.test_files import read
from tests.helpers.media import encoded
from tests.helpers.signals import tones
from unweave import OptionError
from unweave.audio.decode import AudioReader
from unweave.errors import AudioReadError

NONE = Disposition(0)
COMMENTARY, SONG, DUB = (np.full((1, 9000), level, np.float32) for level in (0.1, 0.5, -0.25))


def tracks(container, dispositions, codec="pcm_s16le"):
    return io.BytesIO(encoded([COMMENTARY, SONG, DUB], container, codec, disposition=dispositions))


def level(file, **options):
    return round(float(np.median(read(file, **options))), 2)


@pytest.mark.parametrize("container", ["matroska", "mov"])
@pytest.mark.parametrize(
    ("dispositions", "wanted"),
    [
        ((NONE, Disposition.default, NONE), 0.5),
        ((Disposition.default, NONE, NONE), 0.1),
        ((NONE, NONE, Disposition.default), -0.25),
    ],
)
def test_the_default_track_is_read(container, dispositions, wanted):
    assert level(tracks(container, dispositions)) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("dispositions", "wanted"),
    [
        ((NONE, NONE, NONE), 0.1),
        ((Disposition.default, Disposition.default, Disposition.default), 0.1),
        ((Disposition.comment, NONE, NONE), 0.5),
        ((Disposition.visual_impaired, Disposition.hearing_impaired, NONE), -0.25),
        ((Disposition.comment | Disposition.default, Disposition.default, NONE), 0.5),
        ((Disposition.comment, Disposition.comment, Disposition.comment), 0.1),
    ],
)
def test_without_one_mark_the_first_track_for_everybody(dispositions, wanted):
    assert level(tracks("matroska", dispositions)) == pytest.approx(wanted)


def test_a_track_by_number():
    file = tracks("matroska", (NONE, Disposition.default, NONE)).getvalue()
    assert [level(io.BytesIO(file), stream=number) for number in (0, 1, 2)] == pytest.approx([0.1, 0.5, -0.25])


def test_a_second_pass_reads_the_same_track():
    with AudioReader(tracks("matroska", (NONE, Disposition.default, NONE))) as reader:
        assert np.median(np.concatenate(list(reader.again()), axis=1)) == pytest.approx(0.5, abs=1e-3)


def test_a_track_that_is_not_there():
    with pytest.raises(AudioReadError, match="it has 3 audio tracks, there is no track 8"):
        AudioReader(tracks("matroska", (NONE, NONE, NONE)), stream=7)
    with pytest.raises(AudioReadError, match="it has one audio track, there is no track 2"):
        AudioReader(io.BytesIO(encoded(tones(100), "wav", "pcm_s16le")), stream=1)


@pytest.mark.parametrize("number", [-1, 0.5, "1", True, float("nan")])
def test_what_is_no_number_of_a_track(number):
    with pytest.raises(OptionError, match="number of an audio track"):
        AudioReader(tracks("matroska", (NONE, NONE, NONE)), stream=number)


def test_a_track_that_cannot_be_decoded_is_passed_over():
    """As phones write them: sound that every player knows, and one that only theirs does."""
    raw = tracks("mov", (Disposition.default, NONE, NONE)).getvalue()
    place = raw.index(b"sowt", raw.index(b"moov"))  # the first track's description
    broken = raw[:place] + b"xxxx" + raw[place + 4 :]
    with av.open(io.BytesIO(broken)) as container:
        assert len(container.streams.audio) == 3
    assert level(io.BytesIO(broken)) == pytest.approx(0.5)
    with pytest.raises(AudioReadError, match="track 1"):
        AudioReader(io.BytesIO(broken), stream=0)

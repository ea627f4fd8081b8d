"""From files to batches: grouping, decoding, drawing."""

import csv
import dataclasses
import os
import time

import numpy as np
import pytest

from tests.helpers.band import RATE, STEMS, stems, write_tracks, write_wav
from unweave import OptionError
from unweave.training import shards as shards_module
from unweave.training.plan import AugmentationPlan, SourcePlan
from unweave.training.sampler import Sampler
from unweave.training.shards import Shards, prepare_shards
from unweave.training.tracks import find_training_tracks, stem_of

PLAIN = AugmentationPlan(remix=0, absent=0)


@pytest.fixture
def tracks(tmp_path):
    return find_training_tracks(SourcePlan(write_tracks(tmp_path / "music", 3)), STEMS)


@pytest.mark.parametrize(
    ("label", "groups", "expected"),
    [
        ("vocals", {}, "vocals"),
        ("Vocals", {}, "vocals"),
        ("drums/kick 01", {}, "drums"),
        ("guitar", {}, "other"),
        ("Lead VOX 2", {"vocals": ("*vox*",)}, "vocals"),
        ("guitar", {"other": ("synth",)}, None),
        ("Master", {"skip": ("master",)}, ""),
        ("vocals", {"vocals": ("*vox*",)}, "vocals"),  # not to the other stem, which takes the rest
        ("drums/kick 01", {"drums": ("*kit*",)}, "drums"),
    ],
)
def test_files_find_their_stem(label, groups, expected):
    assert stem_of(label, ("vocals", "drums", "other"), groups) == expected


def test_stems_in_capitals_have_files_of_their_name():
    assert stem_of("vocals", ("Vocals", "other"), {}) == "Vocals"


def test_one_recording_in_two_formats_is_not_added_to_itself(tmp_path):
    for name in ("vocals.wav", "Vocals.aiff", "bass.wav"):
        write_wav(tmp_path / "music" / "one" / name, stems(0, 1.0)["bass"])
    with pytest.raises(OptionError, match=r"Vocals\.aiff and vocals\.wav are two files of one name"):
        find_training_tracks(SourcePlan(tmp_path / "music"), ("vocals", "bass"))


def test_a_folder_per_track_with_folders_of_parts(tmp_path):
    for label in ("vocals/lead", "vocals/backing", "bass/di", "mixture"):
        write_wav(tmp_path / "music" / "one" / f"{label}.wav", stems(0, 1.0)["bass"])
    (track,) = find_training_tracks(SourcePlan(tmp_path / "music"), ("vocals", "bass"))
    assert sorted(file.stem for file in track.files) == ["bass", "vocals", "vocals"]


def test_a_file_of_no_stem_is_an_error(tmp_path):
    write_wav(tmp_path / "music" / "one" / "strings.wav", stems(0, 1.0)["bass"])
    with pytest.raises(OptionError, match=r"strings\.wav matches no stem"):
        find_training_tracks(SourcePlan(tmp_path / "music"), ("vocals", "bass"))


def test_the_lists_of_spleeter_and_our_own(tmp_path):
    write_tracks(tmp_path, 1)
    for name, rows in {
        "theirs.csv": [("mix_path", "vocals_path", "bass_path", "duration"),
                       ("song 0/mix.wav", "song 0/vocals.wav", "song 0/bass.wav", "8.0")],
        "ours.csv": [("track", "stem", "path", "licence", "weight"),
                     ("song", "vocals", "song 0/vocals.wav", "MIT", "2"),
                     ("song", "bass", "song 0/bass.wav", "MIT", "2")],
    }.items():  # fmt: skip
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        (track,) = find_training_tracks(SourcePlan(tmp_path / name, licence="CC0-1.0"), ("vocals", "bass"))
        assert {file.stem for file in track.files} == {"vocals", "bass"}
        assert all(file.path.is_file() for file in track.files)
        assert track.licence == ("MIT" if name == "ours.csv" else "CC0-1.0")


def test_shards_hold_what_was_in_the_files(tmp_path, tracks, monkeypatch):
    monkeypatch.setattr(shards_module, "SHARD_SAMPLES", 50_000)  # so that stems lie across shards
    shards = prepare_shards(tracks, tmp_path / "cache", RATE)
    assert len(list((tmp_path / "cache").rglob("*.i16"))) == 3 * 3 * 8 * RATE // 50_000 + 1
    for number in range(3):
        for stem, waveform in stems(number).items():
            (clip,) = [c for c in shards.clips if (c.track, c.stem) == (f"song {number}", stem)]
            read = shards.read(clip, 1000, 30_000)
            np.testing.assert_allclose(read, waveform[:, 1000:31_000], atol=2 * clip.scale)
            beyond = shards.read(clip, clip.n_samples - 10, 30)
            assert not beyond[:, 10:].any()


@pytest.mark.skipif(os.name != "posix", reason="limits of files are POSIX's")
def test_more_shards_than_files_may_be_open(tmp_path, tracks, monkeypatch):
    """The training songs of MUSDB18 have some 500 shards, and macOS lets a program open 256 files."""
    import resource

    monkeypatch.setattr(shards_module, "SHARD_SAMPLES", 500)
    shards = prepare_shards(tracks[:1], tmp_path / "cache", RATE)
    n_open = len(os.listdir("/dev/fd"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert len(list(shards.folders[0].glob("*.i16"))) > 256
    resource.setrlimit(resource.RLIMIT_NOFILE, (n_open + 120, hard))
    try:
        for clip in shards.clips:
            whole = shards.read(clip, 0, clip.n_samples)
            np.testing.assert_array_equal(shards.read(clip, 1000, 700), whole[:, 1000:1700])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_shards_are_made_once(tmp_path, tracks):
    seen = []
    for _ in range(2):
        prepare_shards(tracks, tmp_path / "cache", RATE, lambda done, total, name: seen.append(name))
    assert seen == ["song 0", "song 1", "song 2"]


def test_names_that_are_no_utf_8(tmp_path):
    """Old disks have names in Latin-1."""
    folder = tmp_path / "music" / os.fsdecode(b"caf\xe9")
    write_wav(folder / "vocals.wav", stems(0, 1.0)["bass"])
    tracks = find_training_tracks(SourcePlan(tmp_path / "music"), ("vocals", "bass"))
    shards = prepare_shards(tracks, tmp_path / "cache", RATE)
    assert [clip.track for clip in shards.clips] == [folder.name]


def test_files_of_one_stem_are_added(tmp_path):
    first, second = stems(0, 1.0)["bass"], stems(1, 2.0)["bass"]
    write_wav(tmp_path / "music" / "one" / "bass" / "a.wav", first)
    write_wav(tmp_path / "music" / "one" / "bass" / "b.wav", second)
    tracks = find_training_tracks(SourcePlan(tmp_path / "music"), ("bass",))
    shards = prepare_shards(tracks, tmp_path / "cache", RATE)
    expected = second + np.pad(first, [(0, 0), (0, RATE)])
    np.testing.assert_allclose(shards.read(shards.clips[0], 0, 2 * RATE), expected, atol=1e-4)


def sampler(tmp_path, tracks, plan, **options):
    shards = prepare_shards(tracks, tmp_path / "cache", RATE)
    options = {"segment_samples": 4000, "batch_size": 8, "seed": 1, **options}
    return Sampler(shards, STEMS, plan=plan, **options)


def test_batches_depend_on_seed_step_and_process_alone(tmp_path, tracks):
    first, second = (sampler(tmp_path, tracks, AugmentationPlan()) for _ in range(2))
    np.testing.assert_array_equal(first.batch(17), second.batch(17))
    assert np.abs(first.batch(17) - first.batch(18)).max() > 0
    assert np.abs(first.batch(17) - sampler(tmp_path, tracks, AugmentationPlan(), process=1).batch(17)).max() > 0
    ahead = first.batches(5)
    for step in (5, 6, 7):
        np.testing.assert_array_equal(next(ahead), first.batch(step))


def test_without_remix_stems_are_of_one_song_and_moment(tmp_path, tracks):
    batch = sampler(tmp_path, tracks, PLAIN).batch(0)
    whole = [np.stack(list(stems(number).values())) for number in range(3)]
    for segment in batch:
        errors = []
        for song in whole:
            # Where the drums fit, all stems fit.
            windows = np.lib.stride_tricks.sliding_window_view(song[1, 0], 4000)[:, ::50]
            start = int(np.argmin(np.abs(windows - segment[1, 0, ::50]).sum(1)))
            part = song[..., start : start + 4000]
            errors.append(np.abs(part - segment[..., : part.shape[-1]]).max())
        assert min(errors) < 1e-3


def test_songs_of_one_name_in_two_sources_are_not_mixed(tmp_path):
    """With the stems of either song silent in the other, no segment may hear both."""
    folders = []
    for number, (source, stem) in enumerate((("one", "vocals"), ("two", "drums"))):
        folders.append(tmp_path / source)
        for name in STEMS:
            waveform = stems(number)[name] if name == stem else np.zeros((2, 8 * RATE), np.float32)
            write_wav(folders[-1] / "intro" / f"{name}.wav", waveform)
    parts = [
        prepare_shards(find_training_tracks(SourcePlan(folder), STEMS), tmp_path / "cache", RATE) for folder in folders
    ]
    shards = Shards([folder for part in parts for folder in part.folders])
    assert [sorted(song) for song in shards.songs] == [sorted(STEMS)] * 2
    batch = Sampler(shards, STEMS, segment_samples=RATE, batch_size=20, plan=PLAIN, seed=0).batch(0)
    heard = np.abs(batch).max(axis=(2, 3)) > 1e-4
    assert heard.sum(axis=0).tolist()[:2] > [0, 0]
    assert not (heard[:, 0] & heard[:, 1]).any()


def test_absent_stems_are_silent_but_never_all(tmp_path, tracks):
    batch = sampler(tmp_path, tracks, dataclasses.replace(PLAIN, absent=1.0), segment_samples=3 * RATE).batch(0)
    assert (np.abs(batch).max((2, 3)) > 0).sum(1).tolist() == [1] * 8


def test_a_song_that_lacks_stems_keeps_one_that_it_has(tmp_path):
    folder = write_tracks(tmp_path / "music", 2)
    (folder / "song 0" / "vocals.wav").unlink()
    found = find_training_tracks(SourcePlan(folder), STEMS)
    batch = sampler(tmp_path, found, dataclasses.replace(PLAIN, absent=1.0), segment_samples=3 * RATE).batch(0)
    assert (np.abs(batch).max((2, 3)) > 0).sum(1).tolist() == [1] * 8


def test_songs_are_drawn_as_often_as_they_are_long(tmp_path):
    for number, seconds in enumerate((2.0, 8.0)):
        for stem, waveform in stems(number, seconds).items():
            write_wav(tmp_path / "music" / f"song {number}" / f"{stem}.wav", waveform)
    drawn = sampler(tmp_path, find_training_tracks(SourcePlan(tmp_path / "music"), STEMS), PLAIN, batch_size=64)
    assert drawn._whole_chances == pytest.approx([0.2, 0.8], abs=0.03)


def test_a_stem_without_files_is_named(tmp_path, tracks):
    shards = prepare_shards(tracks, tmp_path / "cache", RATE)
    with pytest.raises(OptionError, match="no files of piano"):
        Sampler(shards, ("vocals", "piano"), segment_samples=100, batch_size=1, plan=PLAIN, seed=0)


def level_db(samples):
    return 10 * np.log10(np.mean(samples**2))


def test_clips_know_how_loud_they_are(tmp_path, tracks):
    shards = prepare_shards(tracks, tmp_path / "cache", RATE)
    for clip in shards.clips:
        seconds = [shards.read(clip, second * RATE, RATE) for second in clip.active_seconds]
        assert clip.level_db == pytest.approx(level_db(np.stack(seconds)), abs=0.1)


def test_a_single_hit_is_as_loud_as_it_sounds(tmp_path):
    """Shorter than a second, it was taken for something that cannot be heard, and made 28 dB louder."""
    hit = 0.5 * np.exp(-np.arange(RATE // 2) / 1000) * np.ones((2, 1))
    write_wav(tmp_path / "music" / "hit" / "drums.wav", hit.astype(np.float32))
    later = np.concatenate([np.zeros((2, 3 * RATE)), hit], axis=1).astype(np.float32)
    write_wav(tmp_path / "music" / "later" / "drums.wav", later)
    shards = prepare_shards(find_training_tracks(SourcePlan(tmp_path / "music"), STEMS), tmp_path / "cache", RATE)
    assert [clip.active_seconds for clip in shards.clips] == [(0,), (3,)]
    assert [clip.level_db for clip in shards.clips] == pytest.approx([level_db(hit)] * 2, abs=0.1)


def test_stems_are_brought_to_one_level(tmp_path):
    for number, gain in enumerate((1.0, 0.3, 0.1)):
        for stem, waveform in stems(number).items():
            write_wav(tmp_path / "music" / f"song {number}" / f"{stem}.wav", gain * waveform)
    found = find_training_tracks(SourcePlan(tmp_path / "music"), STEMS)
    for remix in (0.0, 1.0):
        plan = dataclasses.replace(PLAIN, level_db=-20.0, remix=remix)
        levels = [level_db(sampler(tmp_path, found, plan, segment_samples=4 * RATE).batch(0)[:, index].flatten())
                  for index in range(len(STEMS))]  # fmt: skip
        assert levels == pytest.approx([-20.0] * len(STEMS), abs=3.0)  # gaps count, too


def test_what_cannot_be_heard_is_not_made_loud(tmp_path):
    """The drums in the microphone of a singer who never sings would otherwise be taught as vocals."""
    for stem, waveform in stems(0).items():
        soft = 10 ** (-56 / 20) / np.sqrt(np.mean(waveform**2))
        write_wav(tmp_path / "music" / "song" / f"{stem}.wav", waveform * (soft if stem == "vocals" else 1))
    found = find_training_tracks(SourcePlan(tmp_path / "music"), STEMS)
    plan = dataclasses.replace(PLAIN, level_db=-20.0)
    batch = sampler(tmp_path, found, plan, segment_samples=4 * RATE).batch(0)
    levels = dict(zip(STEMS, (level_db(batch[:, index]) for index in range(len(STEMS))), strict=True))
    assert levels["vocals"] < -50
    assert levels["drums"] > -25


def test_layers_are_several_clips_as_loud_as_one(tmp_path, tracks):
    plan = dataclasses.replace(PLAIN, remix=1.0, level_db=-20.0)
    one = sampler(tmp_path, tracks, plan, segment_samples=2 * RATE).batch(3)
    several = sampler(
        tmp_path, tracks, dataclasses.replace(plan, layers={STEMS[0]: 4}), segment_samples=2 * RATE
    ).batch(3)
    assert level_db(several[:, 0]) == pytest.approx(level_db(one[:, 0]), abs=4)
    assert not np.allclose(several[:, 0], one[:, 0])


def test_rare_stems_are_silent_as_often_as_planned(tmp_path, tracks):
    plan = dataclasses.replace(PLAIN, rare={STEMS[0]: 0.5})
    drawn = sampler(tmp_path, tracks, plan, batch_size=64, segment_samples=3 * RATE)  # longer than any gap
    is_heard = np.abs(np.concatenate([drawn.batch(step) for step in range(4)])).max((2, 3)) > 0
    # The one stem that is always kept is the rare one in a third of the cases.
    assert is_heard[:, 0].mean() == pytest.approx(0.5 + 0.5 / 3, abs=0.1)
    assert is_heard[:, 1:].all()


def test_shards_that_nobody_finishes_are_removed_after_a_day(tmp_path, tracks):
    """A process that is killed while it decodes leaves as much as all the music takes."""
    cache, then = tmp_path / "cache", time.time() - 25 * 3600
    for name in ("left", "busy"):
        path = cache / f".filling-{name}" / "folder" / "00000.i16"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"00")
        for each in (path, path.parent, path.parent.parent):
            os.utime(each, (then, then))
    os.utime(cache / ".filling-busy" / "folder" / "00000.i16")
    prepare_shards(tracks, cache, RATE)
    assert [path.name for path in cache.glob(".filling-*")] == [".filling-busy"]

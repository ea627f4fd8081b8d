"""One process of the cluster: a loaded model, and one file after the other."""

from __future__ import annotations

import logging
import os
import platform
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import unweave
from unweave.audio.encode import remove_orphans
from unweave.cluster.listing import Stamp
from unweave.cluster.places import Place
from unweave.cluster.songs import Song
from unweave.errors import UnweaveError
from unweave.separation.batch_options import BatchOptions
from unweave.separation.journal import settings_key, settings_of
from unweave.separation.model_state import model_state
from unweave.separation.output import OutputOptions
from unweave.separation.progress import Progress
from unweave.separation.separator import Separator

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """What every worker does with every file."""

    source: Place
    target: Place
    model: str
    output: OutputOptions
    stems: tuple[str, ...] | None
    separator: dict[str, Any]  # arguments of the Separator

    def settings(self) -> str:
        """The settings as a journal names them; those of ``unweave separate`` have the same name."""
        sound = {"quality": "balanced", "residual": False, "shifts": 1, "wiener": None, "precision": "auto"}
        sound |= {name: value for name, value in self.separator.items() if name in sound}
        options = BatchOptions(self.output, self.stems)
        return settings_key(settings_of(options, models=model_state(self.model), **sound))


@dataclass(frozen=True)
class Result:
    """What became of one file: its stems' names below the target, or an error in one line.

    ``source`` identifies the bytes that were separated, and ``stamps`` the files that were written, by name; without
    them the journal cannot note it. ``seconds`` is the time it took, fetching and sending included, ``audio_seconds``
    the song's length.
    """

    name: str
    stems: dict[str, str]
    error: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    seconds: float = 0.0
    audio_seconds: float = 0.0
    machine: str = ""


class Worker:
    """Loads the model once; `separate` may be called again for the same song, and gives the same stems.

    ``folder`` becomes the current one, at which relative paths start.
    """

    def __init__(self, work: Work, folder: str | None = None) -> None:
        if folder is not None:
            os.chdir(folder)
        self._work = work
        self._separator = Separator(work.model, **work.separator)

    def process_number(self) -> int:
        """The number of this worker's process."""
        return os.getpid()

    def identity(self) -> str:
        """What it separates with: two workers of different identities would write different stems."""
        loaded = [(each.spec.name, repr(each.spec)) for each in self._separator.loaded]
        names = ", ".join(name for name, _ in loaded)
        return f"unweave {unweave.__version__} with {names} ({settings_key(loaded)[:8]})"

    def chosen_stems(self) -> tuple[str, ...]:
        """The stems that are written. Raises `OptionError` for unknown ones."""
        return self._separator.stem_names(self._work.stems)

    def separate(self, song: Song) -> Result:
        """Separate ``song``; whatever goes wrong with it is a result, not an exception."""
        started, name = time.monotonic(), song.name
        try:
            result = self._separate(song)
        except UnweaveError as error:
            result = Result(name, {}, " ".join(str(error).split()))
        except Exception as error:
            log.error("%s: unexpected error", name, exc_info=True)
            said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            result = Result(name, {}, f"cannot separate {name}: {' '.join(said.split())}")
        return replace(result, seconds=time.monotonic() - started, machine=platform.node())

    def _separate(self, song: Song) -> Result:
        work = self._work
        # From before the bytes are read: if they change meanwhile, the next run finds another, and does them again.
        state = work.source.state(song.name, song.stamp)
        is_here = work.source.is_local and work.target.is_local
        audio_seconds, stamps = self._separate_here(song) if is_here else self._separate_elsewhere(song)
        done = Result(song.name, dict(song.stems), audio_seconds=audio_seconds)
        try:
            for stem in song.stems.values():
                if stem not in stamps and (stamp := work.target.stamp(stem)) is not None:
                    stamps[stem] = stamp
        except UnweaveError as error:
            log.warning("%s is done, but the next run will separate it again: %s", song.name, error)
            return done
        return replace(done, source=state, stamps=stamps) if state else done

    def _separate_here(self, song: Song) -> tuple[float, dict[str, Stamp]]:
        """Straight from folder to folder; stems appear together, as everywhere."""
        target = self._work.target.local_folder
        with suppress(OSError):
            remove_orphans({(target / stem).parent for stem in song.stems.values()})
        return self._run(self._work.source.local_folder / song.name, target / Path(song.name).parent)[0], {}

    def _separate_elsewhere(self, song: Song) -> tuple[float, dict[str, Stamp]]:
        with tempfile.TemporaryDirectory(prefix="unweave-worker-") as temporary:
            source = Path(temporary) / "in" / Path(song.name).name
            source.parent.mkdir()
            self._work.source.fetch(song.name, source)
            audio_seconds, paths = self._run(source, Path(temporary) / "out")
            return audio_seconds, self._work.target.put({path: song.stems[stem] for stem, path in paths.items()})

    def _run(self, source: Path, folder: Path) -> tuple[float, dict[str, Path]]:
        """Separate a file of this machine; how many seconds of audio it has, and its stems."""
        progress = Progress(0.0, None)

        def note(now: Progress) -> None:
            nonlocal progress
            progress = now

        paths = self._separator.separate_file(
            source, folder, self._work.output, stems=self._work.stems, on_progress=note
        )
        return progress.done_seconds, paths

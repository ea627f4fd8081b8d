"""A DAW's project of stems that have been written: a file with everything in it, or one that lies beside them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from io import FileIO
from pathlib import Path
from types import TracebackType

from unweave import __version__
from unweave.audio.colours import colour_of
from unweave.audio.dawproject import AUDIO_FOLDER, METADATA_FILE, PROJECT_FILE, metadata_xml, project_xml
from unweave.audio.encode import AudioWriter
from unweave.audio.projects import DEFAULT_TEMPO, Project, ProjectTrack, tempo_in
from unweave.audio.reaper import project_text
from unweave.audio.sources import reason
from unweave.errors import AudioWriteError
from unweave.files import PartFile
from unweave.separation.mix import Mix
from unweave.separation.projects import beside


def make_project(
    path: Path,
    writers: Mapping[str, AudioWriter],
    mix: Mix,
    tags: Mapping[str, str],
    tempo: float | None,
    *,
    sample_rate: int,
    n_channels: int,
    n_samples: int,
) -> Project:
    """The project at ``path`` of stems that have been written, with the faders of ``mix``."""
    tracks = [
        ProjectTrack(
            name,
            f"{AUDIO_FOLDER}/{name}.wav" if writer.path == path else beside(writer.path, path),
            colour_of(name),
            mix.gain(name),
            mix.pans.get(name, 0.0),
            name in mix.mute,
            name in mix.solo,
        )
        for name, writer in writers.items()
    ]
    tempo = tempo or tempo_in(tags) or DEFAULT_TEMPO
    return Project(path.stem, tracks, sample_rate, n_channels, n_samples, tempo, tags)


def archive_of(path: Path, project: Project, writers: Mapping[str, AudioWriter]) -> ProjectFile:
    """A ``.dawproject`` file with the finished stems, whose own files are removed. Raises `AudioWriteError`."""

    def write(file: FileIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
            archive.writestr(METADATA_FILE, metadata_xml(project))
            archive.writestr(PROJECT_FILE, project_xml(project, __version__))
            for track, writer in zip(project.tracks, writers.values(), strict=True):
                assert writer.temporary is not None
                archive.write(writer.temporary, track.file)
                writer.discard()

    return ProjectFile(path, write)


def text_of(path: Path, project: Project) -> ProjectFile:
    """A ``.rpp`` file. Raises `AudioWriteError`."""

    def write(file: FileIO) -> None:
        file.write(project_text(project, __version__))

    return ProjectFile(path, write)


class ProjectFile:
    """A file that is complete under a hidden name until `commit`; leaving the context without removes it."""

    def __init__(self, path: Path, write: Callable[[FileIO], None]) -> None:
        self.path = path
        self._part: PartFile | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._part = PartFile(path)
            write(self._part.file)
            self._part.sync()
        except OSError as error:
            self._discard()
            raise AudioWriteError(f"cannot write {path}: {reason(error)}") from error
        except BaseException:
            self._discard()
            raise

    @property
    def temporary(self) -> Path | None:
        """Where it is until `commit`; None afterwards."""
        return None if self._part is None else self._part.temporary

    def __enter__(self) -> ProjectFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._discard()

    def commit(self) -> None:
        """Give the file its name, replacing an older file. Raises `AudioWriteError`."""
        assert self._part is not None
        try:
            self._part.commit()
        except OSError as error:
            raise AudioWriteError(f"cannot write {self.path}: {reason(error)}") from error
        self._part = None

    def _discard(self) -> None:
        if self._part is not None:
            self._part.discard()
        self._part = None

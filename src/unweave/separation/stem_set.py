"""Sets of files that appear together or not at all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from unweave.audio.decode import AudioReader
from unweave.audio.encode import AudioWriter, remove_orphans
from unweave.audio.formats import OutputFormat, find_format, parse_bitrate
from unweave.audio.stem_files import MIXTURE
from unweave.audio.tags import Tags
from unweave.errors import OptionError
from unweave.separation.commit import commit_together
from unweave.separation.mix import Mix
from unweave.separation.output import OutputOptions
from unweave.separation.projects import PROJECT
from unweave.types import Stems, Waveform

log = logging.getLogger(__name__)


class StemSet:
    """Writes several stems at once; their files appear under their names together, when all are whole.

    Use it as a context manager: `write` as stems come, `commit` at the end. Without `commit` nothing is left behind,
    and files that were there before stay as they were. Stems that must be encoded are encoded side by side.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        options: OutputOptions,
        *,
        sample_rate: int,
        n_channels: int,
        tags: Tags | None = None,
        mix: Mix | None = None,
    ) -> None:
        self._options = options
        self._stack = ExitStack()
        self._sample_rate = sample_rate
        self._n_channels = n_channels
        self._tags = tags
        # Rescaling needs the peak of the whole song, so the stems wait in float files.
        self._is_deferred = options.clip == "rescale" and options.bit_depth != "32f"
        self._pool: ThreadPoolExecutor | None = None
        self._writers: dict[str, AudioWriter] = {}
        self._layout = options.format.layout
        self._paths, self._mix, self._n_samples = paths, mix or Mix(), 0
        remove_orphans({path.parent for path in paths.values()})  # what a killed process has left of an earlier try
        try:
            if self._layout is not None:
                path = next(iter(paths.values()))
                self._writers[path.name] = self._open(path, options.format, options.bit_depth)
                return
            for name, path in paths.items():
                if name == PROJECT and options.format.is_project:
                    continue
                writer = (
                    self._open(path, find_format("wav"), "32f")
                    if self._is_deferred
                    else self._open(path, options.format, options.bit_depth)
                )
                self._writers[name] = writer
            is_encoded = not self._is_deferred and options.format.container != "wav"
            if len(paths) > 1 and is_encoded:
                # Entered last and so left first: files are closed when the threads are done with them.
                self._pool = self._stack.enter_context(ThreadPoolExecutor(len(paths), "unweave-encoder"))
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> StemSet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def write(self, stems: Stems, mixture: Waveform | None = None) -> None:
        """Append to every stem.

        ``mixture`` is the song itself, (channels, samples) like each stem: files that hold it beside the stems take it
        as it is. Without it they take the sum of the stems, which is the song only where all stems are there.
        """
        self._n_samples += stems.n_samples
        if self._layout is None:
            self._for_each(lambda name, writer: writer.write(stems[name]))
        elif stems.n_samples:
            (writer,) = self._writers.values()
            rows = self._layout.rows(stems)
            if mixture is not None:
                expected = (self._n_channels, stems.n_samples)
                if mixture.shape != expected:
                    raise OptionError(f"expected a mixture of shape {expected}, as the stems are, got {mixture.shape}")
                for number, (_, names) in enumerate(self._layout.streams):
                    if MIXTURE in names:
                        rows[number * self._n_channels : (number + 1) * self._n_channels] = mixture
            writer.write(rows)

    def commit(self) -> None:
        """Finish all files, then give all of them their names, or none. Raises `AudioWriteError`."""
        self._for_each(lambda name, writer: writer.finish())
        if self._is_deferred:
            self._rescale()
        remedy = "32-bit float wav" if self._layout is not None else "clip=rescale or 32-bit float wav"
        for writer in self._writers.values():
            writer.tell_of_clipping(remedy)
        if self._options.format.is_project:
            self._commit_project()
        else:
            commit_together(list(self._writers.values()))

    def _for_each(self, action: Callable[[str, AudioWriter], None]) -> None:
        """Do the same to all files, and wait until it is done."""
        if self._pool is None:
            for name, writer in self._writers.items():
                action(name, writer)
            return
        for future in [self._pool.submit(action, name, writer) for name, writer in self._writers.items()]:
            future.result()

    def _commit_project(self) -> None:
        from unweave.separation.project_files import archive_of, make_project, text_of  # with XML and ZIP

        path = self._paths.get(PROJECT) or next(iter(self._paths.values()))
        tags = (self._tags or Tags()).texts
        project = make_project(
            path, self._writers, self._mix, tags, self._options.tempo,
            sample_rate=self._sample_rate, n_channels=self._n_channels, n_samples=self._n_samples,
        )  # fmt: skip
        if self._options.format.is_one_file:
            commit_together([self._stack.enter_context(archive_of(path, project, self._writers))])
        else:
            commit_together([*self._writers.values(), self._stack.enter_context(text_of(path, project))])

    def _open(self, path: Path, format: OutputFormat, bit_depth: str) -> AudioWriter:
        return self._stack.enter_context(
            AudioWriter(
                path,
                format,
                sample_rate=self._sample_rate,
                n_channels=self._n_channels,
                bit_depth=bit_depth,
                bitrate=parse_bitrate(self._options.bitrate),
                tags=self._tags,
            )
        )

    def _rescale(self) -> None:
        """Encode the waiting float files, all with one gain, so that the stems still sum to the (scaled) mixture."""
        peak = max(writer.peak for writer in self._writers.values())
        gain = np.float32(min(1.0, 1.0 / peak) if peak > 0 else 1.0)
        if gain < 1:
            log.warning("all stems were scaled by %.1f dB, so that none exceeds full scale", 20 * np.log10(gain))
        for name, waiting in self._writers.items():
            writer = self._open(waiting.path, self._options.format, self._options.bit_depth)
            assert waiting.temporary is not None
            with waiting, AudioReader(waiting.temporary) as reader:
                for block in reader:
                    scaled: Waveform = block * gain
                    writer.write(scaled)
            writer.finish()
            self._writers[name] = writer

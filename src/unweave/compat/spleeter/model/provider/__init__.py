"""Spleeter's ``spleeter.model.provider``: folders with weights."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unweave.compat.spleeter import SpleeterError
from unweave.models.catalogue.official import find_weights
from unweave.models.checkpoint_folder import has_checkpoint
from unweave.models.fetch import fetch_from
from unweave.models.hub import ensure_weights


class ModelProvider(ABC):
    """Knows where a model's checkpoint lies, and downloads it if need be."""

    DEFAULT_MODEL_PATH = "pretrained_models"
    MODEL_PROBE_PATH = ".probe"

    @abstractmethod
    def download(self, name: str, path: str) -> None:
        """Bring the checkpoint called ``name`` into the folder ``path``."""

    def get(self, model_directory: str) -> str:
        """The folder of a model: an existing one with a checkpoint, or a new one, for which it is downloaded.

        A provider of one's own that defines `download` is asked for it, as by the original; the official one keeps
        official weights in the cache. An existing folder without a checkpoint is an error, where the original goes on
        with random weights.
        """
        folder = Path(model_directory)
        if has_checkpoint(folder):
            return str(folder)
        if type(self).download is not GithubModelProvider.download:
            if not folder.is_absolute():
                folder = Path(self.DEFAULT_MODEL_PATH) / folder
            if not os.path.exists(folder / self.MODEL_PROBE_PATH):
                with _staging(folder) as staged:
                    self.download(folder.name, str(staged))
                    (staged / self.MODEL_PROBE_PATH).write_text("OK")
            return str(folder)
        if folder.is_absolute() or folder.name != model_directory:
            raise SpleeterError(f"{model_directory} contains no checkpoint")
        return str(ensure_weights(model_directory))

    @classmethod
    def default(cls) -> ModelProvider:
        """The provider of the official weights."""
        return GithubModelProvider()


class GithubModelProvider(ModelProvider):
    """The official weights; ``GITHUB_HOST``, ``GITHUB_REPOSITORY`` and ``GITHUB_RELEASE`` point elsewhere."""

    def download(self, name: str, path: str) -> None:
        """See `ModelProvider.download`; every source of the catalogue is tried, and every file verified."""
        weights = find_weights(name)
        folder = Path(path)
        failures = []
        for source in weights.sources:
            try:
                with _staging(folder) as staged:
                    work = staged.parent / "work"
                    work.mkdir()
                    fetch_from(source, weights, work, staged, lambda done, total, label: None)
                    (staged / self.MODEL_PROBE_PATH).write_text("OK")
            except SpleeterError as error:
                failures.append(f"{source.location}: {error}")
            else:
                return
        raise SpleeterError(f"cannot download {name} ({'; '.join(failures)})")


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """An empty folder beside ``folder``, whose files are moved into that when nothing was raised inside.

    The probe, which says that the model is whole, comes last.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            staged = Path(temporary) / "files"
            staged.mkdir()
            yield staged
            folder.mkdir(exist_ok=True)
            files = sorted(staged.iterdir(), key=lambda path: path.name == ModelProvider.MODEL_PROBE_PATH)
            for path in files:
                os.replace(path, folder / path.name)
    except OSError as error:
        raise SpleeterError(f"cannot save a model in {folder}: {error.strerror or error}") from error

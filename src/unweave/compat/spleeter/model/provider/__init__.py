"""Spleeter's ``spleeter.model.provider``: folders with weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from unweave.compat.spleeter import SpleeterError
from unweave.models.catalog import find_weights
from unweave.models.fetch import fetch_from
from unweave.models.hub import ensure_weights
from unweave.models.network import has_checkpoint


class ModelProvider(ABC):
    """Knows where a model's checkpoint lies, and downloads it if need be."""

    DEFAULT_MODEL_PATH = "pretrained_models"
    MODEL_PROBE_PATH = ".probe"

    @abstractmethod
    def download(self, name: str, path: str) -> None:
        """Bring the checkpoint called ``name`` into the folder ``path``."""

    def get(self, model_directory: str) -> str:
        """The folder of a model: an existing one with a checkpoint, or that of official weights, fetched if need be.

        A folder without a checkpoint is an error, where the original goes on with random weights.
        """
        folder = Path(model_directory)
        if has_checkpoint(folder):
            return str(folder)
        if folder.is_absolute() or folder.name != model_directory:
            raise SpleeterError(f"{model_directory} holds no checkpoint")
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
        folder.mkdir(parents=True, exist_ok=True)
        failures = []
        for source in weights.sources:
            try:
                fetch_from(source, weights, folder, folder, lambda done, total, label: None)
            except SpleeterError as error:
                failures.append(f"{source.location}: {error}")
            else:
                (folder / self.MODEL_PROBE_PATH).write_text("OK")
                return
        raise SpleeterError(f"cannot download {name} ({'; '.join(failures)})")

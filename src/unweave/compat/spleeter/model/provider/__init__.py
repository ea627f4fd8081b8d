"""Spleeter's ``spleeter.model.provider``: folders with weights."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unweave.compat.spleeter import SpleeterError
from unweave.files import patiently
from unweave.models.checkpoint_folder import has_checkpoint
from unweave.models.hub import SPLEETERS_FOLDER


class ModelProvider(ABC):
    """Knows where a model's checkpoint lies, and downloads it if need be."""

    DEFAULT_MODEL_PATH = os.environ.get("MODEL_PATH") or SPLEETERS_FOLDER
    MODEL_PROBE_PATH = ".probe"

    @abstractmethod
    def download(self, name: str, path: str) -> None:
        """Bring the checkpoint called ``name`` into the folder ``path``."""

    @staticmethod
    def writeProbe(directory: str) -> None:  # noqa: N802 - the original's name
        """Leave the file in ``directory`` that says that the model there is whole."""
        probe = Path(directory, ModelProvider.MODEL_PROBE_PATH)
        try:
            probe.write_text("OK")
        except OSError as error:
            raise SpleeterError(f"cannot write {probe}: {error.strerror or error}") from error

    def get(self, model_directory: str) -> str:
        """The folder of a model: an existing one with a checkpoint, or a new one, for which it is downloaded.

        A provider of one's own is asked for it, as by the original.
        """
        folder = Path(model_directory)
        if has_checkpoint(folder):
            return str(folder)
        if not folder.is_absolute():
            folder = Path(self.DEFAULT_MODEL_PATH) / folder
        if not os.path.exists(folder / self.MODEL_PROBE_PATH):
            with staging(folder) as staged:
                self.download(folder.name, str(staged))
                self.writeProbe(str(staged))
        return str(folder)

    @classmethod
    def default(cls) -> ModelProvider:
        """The provider of the official weights."""
        return get_default_model_provider()


def get_default_model_provider() -> ModelProvider:
    """`ModelProvider.default` by the name that it had in versions before 2.1."""
    from unweave.compat.spleeter.model.provider.github import GithubModelProvider

    return GithubModelProvider.from_environ()


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
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
                patiently(os.replace, path, folder / path.name)
    except OSError as error:
        raise SpleeterError(f"cannot save a model in {folder}: {error.strerror or error}") from error

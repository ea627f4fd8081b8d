"""Spleeter's ``spleeter.model.provider.github``: the official weights."""

from __future__ import annotations

from pathlib import Path

from unweave.compat.spleeter import SpleeterError
from unweave.compat.spleeter.model.provider import ModelProvider, staging
from unweave.models.addresses import without_keys
from unweave.models.catalogue.official import PLACES, chosen_places, find_weights
from unweave.models.checkpoint_folder import has_checkpoint
from unweave.models.fetch import fetch_from
from unweave.models.files import file_sha256
from unweave.models.hub import ensure_weights
from unweave.models.spec import Source


class GithubModelProvider(ModelProvider):
    """The official weights; ``GITHUB_HOST``, ``GITHUB_REPOSITORY`` and ``GITHUB_RELEASE`` point elsewhere."""

    DEFAULT_HOST = PLACES["GITHUB_HOST"]
    DEFAULT_REPOSITORY = PLACES["GITHUB_REPOSITORY"]
    LATEST_RELEASE = PLACES["GITHUB_RELEASE"]
    RELEASE_PATH = "releases/download"

    def __init__(self, host: str, repository: str, release: str) -> None:
        self._host, self._repository, self._release = host, repository, release

    @classmethod
    def from_environ(cls) -> GithubModelProvider:
        """The provider that the environment variables ask for."""
        return cls(*chosen_places().values())

    def checksum(self, name: str) -> str:
        """The SHA-256 of the archive of ``name``. Raises `SpleeterError` for a model that is not official."""
        official = next((source.sha256 for source in find_weights(name).sources if source.sha256), None)
        if official is None:
            raise SpleeterError(f"the archive of {name} has no checksum")
        return official

    def _archive(self, name: str) -> Source:
        """The archive of ``name`` where this provider was told to look for it."""
        url = "/".join((self._host, self._repository, self.RELEASE_PATH, self._release, f"{name}.tar.gz"))
        return Source("archive", url, self.checksum(name))

    def get(self, model_directory: str) -> str:
        """See `ModelProvider.get`; official weights are kept where all of unweave finds them.

        An existing folder without a checkpoint is an error, where the original goes on with random weights.
        """
        folder = Path(model_directory)
        if has_checkpoint(folder) or type(self).download is not GithubModelProvider.download:
            return super().get(model_directory)
        if folder.is_absolute() or folder.name != model_directory:
            raise SpleeterError(f"{model_directory} contains no checkpoint")
        return str(ensure_weights(model_directory))

    def download(self, name: str, path: str) -> None:
        """See `ModelProvider.download`; every source of the catalogue is tried as well, and every file verified."""
        weights = find_weights(name)
        folder = Path(path)
        failures = []
        for source in dict.fromkeys((self._archive(name), *weights.sources)):
            try:
                with staging(folder) as staged:
                    work = staged.parent / "work"
                    work.mkdir()
                    fetch_from(source, weights, work, staged, lambda done, total, label: None)
                    self.writeProbe(str(staged))
            except SpleeterError as error:
                failures.append(f"{source.location}: {error}")
            else:
                return
        raise SpleeterError(without_keys(f"cannot download {name} ({'; '.join(failures)})"))


def compute_file_checksum(path: str) -> str:
    """The SHA-256 of the file at ``path``."""
    return file_sha256(Path(path))


__all__ = ["GithubModelProvider", "compute_file_checksum"]

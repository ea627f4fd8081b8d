"""All models there are, for lists: none that is broken keeps the others from being shown."""

from __future__ import annotations

from dataclasses import dataclass

from unweave.errors import UnweaveError
from unweave.models.added import added_names
from unweave.models.catalog import find_weights, specs
from unweave.models.hub import is_present
from unweave.models.resolve import official_weights, resolve
from unweave.models.spec import ModelSpec


@dataclass(frozen=True)
class ListedModel:
    """A model of the catalogue or of the user's own."""

    name: str
    spec: ModelSpec | None  # None where ``problem`` says why it cannot be used
    is_here: bool  # with the weights of all its networks
    is_added: bool
    missing_bytes: int = 0  # what must be fetched before it can run
    problem: str = ""


def list_models() -> list[ListedModel]:
    """The models of the catalogue, then those that the user added."""
    return [*(_official(name, spec) for name, spec in specs().items()), *map(_added, added_names())]


def _official(name: str, spec: ModelSpec) -> ListedModel:
    missing = [weights for weights in map(find_weights, official_weights(resolve(name))) if not is_present(weights)]
    n_bytes = sum(file.size for weights in missing for file in weights.files)
    return ListedModel(name, spec, is_here=not missing, is_added=False, missing_bytes=n_bytes)


def _added(name: str) -> ListedModel:
    try:
        return ListedModel(name, resolve(name).spec, is_here=True, is_added=True)
    except UnweaveError as error:
        problem = str(error)
    except Exception as error:  # a stranger's file may break the libraries that read it in ways of their own
        problem = f"{type(error).__name__}: {error}"
    return ListedModel(name, None, is_here=False, is_added=True, problem=" ".join(problem.split()))

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
    problem: str = ""


def list_models() -> list[ListedModel]:
    """The models of the catalogue, then those that the user added."""
    official = [ListedModel(name, spec, is_here=_is_here(name), is_added=False) for name, spec in specs().items()]
    return [*official, *map(_added, added_names())]


def _is_here(name: str) -> bool:
    return all(is_present(find_weights(weights)) for weights in official_weights(resolve(name)))


def _added(name: str) -> ListedModel:
    try:
        return ListedModel(name, resolve(name).spec, is_here=True, is_added=True)
    except UnweaveError as error:
        problem = str(error)
    except Exception as error:  # a stranger's file may break the libraries that read it in ways of their own
        problem = f"{type(error).__name__}: {error}"
    return ListedModel(name, None, is_here=False, is_added=True, problem=" ".join(problem.split()))

"""All models there are, for lists: none that is broken keeps the others from being shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from unweave.errors import UnweaveError
from unweave.models.added import added_names
from unweave.models.catalogue import Entry, entries, published
from unweave.models.catalogue.official import find_weights, specs
from unweave.models.foreign import not_here
from unweave.models.hub import is_packaged, is_present
from unweave.models.resolve import official_weights, resolve
from unweave.models.spec import ForeignModelSpec, ModelSpec

Order = Literal["name", "size", "score"]
OWN_LICENCE = "yours"  # of a model that the user added


@dataclass(frozen=True)
class ListedModel:
    """A model of the list or of the user's own."""

    name: str
    spec: ModelSpec | None  # None where ``problem`` says why it cannot be used
    is_here: bool  # with the weights of all its networks
    is_added: bool
    missing_bytes: int = 0  # what must be fetched before it can run; 0 also where that is not known
    problem: str = ""
    entry: Entry | None = None  # what the list says about it
    n_bytes: int = 0  # of its weights; 0: part of unweave, or not known

    @property
    def stems(self) -> tuple[str, ...]:
        """As its file names them, or as the list does where the file is not here."""
        return self.spec.stems if self.spec else self.entry.stems if self.entry else ()

    @property
    def licence(self) -> str:
        """In short."""
        return self.entry.licence.name if self.entry else OWN_LICENCE

    @property
    def is_free(self) -> bool:
        """Whether everybody may use it for any purpose."""
        return self.entry is not None and self.entry.licence.is_free

    @property
    def needs_consent(self) -> bool:
        """Whether its licence must be agreed to before it is used."""
        return self.entry is not None and self.entry.needs_consent

    @property
    def is_fetchable(self) -> bool:
        """Whether unweave can bring its file."""
        return self.entry is not None and (not self.entry.downloads or self.entry.download is not None)

    @property
    def is_short(self) -> bool:
        """Whether it belongs in the short list: it is here, or recommended to those who do not know what to take."""
        return self.is_here or self.is_added or (self.entry is not None and self.entry.is_recommended)

    def score(self, stem: str = "") -> tuple[str, float, str] | None:
        """As `Entry.score`."""
        return self.entry.score(stem) if self.entry else None


def list_models() -> list[ListedModel]:
    """The official models, the published ones, then those that the user added."""
    added = {name: _added(name) for name in added_names()}
    listed = [added.pop(name) if name in added else _absent(entry) for name, entry in published().items()]
    return [*(_official(name, spec) for name, spec in specs().items()), *listed, *added.values()]


def chosen(
    models: Iterable[ListedModel],
    *,
    stem: str = "",
    licence: str = "",
    free: bool = False,
    short: bool = False,
    order: Order | None = None,
) -> list[ListedModel]:
    """Those of ``models`` that give ``stem``, whose licence begins with ``licence``, and so on; sorted by ``order``.

    Figures of different test sets do not compare, so models are sorted by them within each set.
    """
    found = [
        model
        for model in models
        if (not stem or stem.casefold() in map(str.casefold, model.stems))
        and model.licence.casefold().startswith(licence.casefold())
        and (not free or model.is_free)
        and (not short or model.is_short)
    ]
    if order == "name":
        found.sort(key=lambda model: model.name.casefold())
    elif order == "size":
        found.sort(key=lambda model: model.n_bytes)
    elif order == "score":
        found.sort(key=lambda model: _rank(model.score(stem)))
    return found


def _rank(score: tuple[str, float, str] | None) -> tuple[int, str, float]:
    return (1, "", 0.0) if score is None else (0, score[2], -score[1])


def _official(name: str, spec: ModelSpec) -> ListedModel:
    weights = list(map(find_weights, official_weights(resolve(name))))
    missing = [each for each in weights if not is_present(each)]
    return ListedModel(
        name,
        spec,
        is_here=not missing,
        is_added=False,
        missing_bytes=sum(file.size for each in missing for file in each.files),
        entry=entries()[name],
        n_bytes=sum(file.size for each in weights if not is_packaged(each) for file in each.files),
    )


def _absent(entry: Entry) -> ListedModel:
    missing = entry.n_bytes
    return ListedModel(
        entry.name, not_here(entry), is_here=False, is_added=False, missing_bytes=missing, entry=entry, n_bytes=missing
    )


def _added(name: str) -> ListedModel:
    entry = published().get(name)
    n_bytes = entry.n_bytes if entry else 0
    try:
        spec = resolve(name).spec
        is_here = not isinstance(spec, ForeignModelSpec) or spec.is_here  # not so where it is damaged
        return ListedModel(name, spec, is_here=is_here, is_added=True, entry=entry, n_bytes=n_bytes)
    except UnweaveError as error:
        problem = str(error)
    except Exception as error:  # a stranger's file may break the libraries that read it in ways of their own
        problem = f"{type(error).__name__}: {error}"
    problem = " ".join(problem.split())
    return ListedModel(name, None, is_here=False, is_added=True, problem=problem, entry=entry, n_bytes=n_bytes)

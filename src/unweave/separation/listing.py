"""Named ensembles in lists of models, as if each were one model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unweave.models.listing import ListedModel
from unweave.separation.presets import Preset, presets
from unweave.separation.stem_names import common_names


@dataclass(frozen=True)
class ListedEnsemble(ListedModel):
    """A named ensemble; it is here when all of its models are."""

    members: tuple[ListedModel, ...] = ()
    rule: str = ""
    summary: str = ""

    @property
    def stems(self) -> tuple[str, ...]:
        """Of all models, by the names that they have in common."""
        names = common_names([member.stems for member in self.members])
        return tuple(dict.fromkeys(name for own in names for name in own.values()))

    @property
    def licence(self) -> str:
        """Those of all models."""
        return ", ".join(dict.fromkeys(member.licence for member in self.members))

    @property
    def is_free(self) -> bool:
        """See `ListedModel`: so are all models."""
        return all(member.is_free for member in self.members)

    @property
    def is_fetchable(self) -> bool:
        """See `ListedModel`: what is not here can be brought."""
        return all(member.is_here or member.is_fetchable for member in self.members)


def list_ensembles(models: Sequence[ListedModel]) -> list[ListedEnsemble]:
    """The named ensembles, of the ``models`` that there are; those of which a model is not listed are left out."""
    known = dict(_names(models))
    found = ((preset, [known.get(name) for name in preset.models]) for preset in presets().values())
    return [
        _listed(preset, [member for member in members if member is not None])
        for preset, members in found
        if None not in members
    ]


def _names(models: Iterable[ListedModel]) -> Iterable[tuple[str, ListedModel]]:
    """All that a model is called; what was added under a file's name, without the ending, comes last and so first."""
    for model in models:
        for name in (model.name, *(model.entry.aliases if model.entry else ())):
            yield name, model
    added = {model.name: model for model in models if model.is_added}
    for preset in presets().values():
        for name in preset.models:
            if name.rpartition(".")[0] in added:
                yield name, added[name.rpartition(".")[0]]


def _listed(preset: Preset, members: Sequence[ListedModel]) -> ListedEnsemble:
    return ListedEnsemble(
        preset.name,
        spec=None,
        is_here=all(member.is_here for member in members),
        is_added=False,
        missing_bytes=sum(member.missing_bytes for member in members),
        n_bytes=sum(member.n_bytes for member in members),
        members=tuple(members),
        rule=preset.rule,
        summary=preset.summary,
    )

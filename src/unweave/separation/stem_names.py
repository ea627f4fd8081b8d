"""What the stems of several models are called: the same thing by one name, different things by different ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

VOCALS = "vocals"
# What two-stem models of vocals call everything else.
INSTRUMENTALS = ("instrumental", "accompaniment", "inst", "no_vocals", "other")

# What only a model that takes vocals, drums or the song without vocals apart gives: parts of its stems' names, and for
# the last whole names.
PARTS_OF_VOCALS = ("lead", "backing", "karaoke", "reverb", "dry", "echo", "male", "breath", "aspiration", "harmony")
PARTS_OF_DRUMS = ("kick", "snare", "tom", "hihat", "hi_hat", "hh", "ride", "crash", "cymbal")
PARTS_OF_INSTRUMENTALS = (
    "drums", "bass", "guitar", "piano", "keys", "synth", "strings", "brass", "wind", "woodwinds", "bleed",
)  # fmt: skip


def plain(stem: str) -> str:
    """``stem`` in small letters and with underscores.

    >>> plain("Lead Vocals"), plain("hi-hat")
    ('lead_vocals', 'hi_hat')
    """
    return stem.strip().casefold().replace(" ", "_").replace("-", "_")


def find_stem(name: str, stems: Sequence[str]) -> str | None:
    """The one of ``stems`` that is called ``name``, however it is written; None where there is none."""
    if name in stems:
        return name
    return next((stem for stem in stems if plain(stem) == plain(name)), None)


def all_but_vocals(stems: Sequence[str]) -> str | None:
    """What a model of two stems calls everything but the vocals; None for other models.

    >>> all_but_vocals(("Vocals", "other")), all_but_vocals(("vocals", "drums", "bass", "other"))
    ('other', None)
    """
    others = [stem for stem in stems if plain(stem) != VOCALS]
    is_one = len(stems) == 2 and len(others) == 1 and plain(others[0]) in INSTRUMENTALS
    return others[0] if is_one else None


def find_meant(name: str, stems: Sequence[str]) -> str | None:
    """As `find_stem`, and what a model of two stems calls everything but the vocals, by any of its names.

    >>> find_meant("Instrumental", ("vocals", "accompaniment")), find_meant("instrumental", ("vocals", "drums", "bass"))
    ('accompaniment', None)
    """
    found = find_stem(name, stems)
    return all_but_vocals(stems) if found is None and plain(name) in INSTRUMENTALS else found


def common_names(members: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """For the stems of each model: the name that they have in common with those of the others.

    The first model that has a stem says how it is written. What a model of two stems calls everything but the vocals
    is one stem for all of them.

    >>> common_names([("vocals", "instrumental"), ("Vocals", "other")])
    [{'vocals': 'vocals', 'instrumental': 'instrumental'}, {'Vocals': 'vocals', 'other': 'instrumental'}]
    """
    wholes = [all_but_vocals(stems) for stems in members]
    proper = {plain(stem) for stems, whole in zip(members, wholes, strict=True) if whole is None for stem in stems}
    shared = next((whole for whole in wholes if whole is not None and plain(whole) not in proper), INSTRUMENTALS[0])
    names: dict[str, str] = {}
    return [
        {stem: shared if stem == whole else names.setdefault(plain(stem), stem) for stem in stems}
        for stems, whole in zip(members, wholes, strict=True)
    ]


def unique_names(taken: Sequence[str], fed: str, stems: Sequence[str]) -> dict[str, str]:
    """Names for the ``stems`` that were separated from the stem ``fed``, beside others whose names are ``taken``.

    >>> unique_names(["drums", "bass"], "other", ["guitar", "bass", "other"])
    {'guitar': 'guitar', 'bass': 'other_bass', 'other': 'other'}
    """
    used = {plain(name) for name in taken}
    names: dict[str, str] = {}
    for stem in stems:
        candidates = [stem, f"{fed}_{stem}", *(f"{fed}_{stem}_{number}" for number in range(2, len(used) + 3))]
        names[stem] = next(name for name in candidates if plain(name) not in used)
        used.add(plain(names[stem]))
    return names


def stem_made_for(model: str, stems: Sequence[str], given: Sequence[str]) -> str | None:
    """Which of the stems ``given`` a model called ``model``, with these ``stems``, separates further; None: no telling.

    Models that tell lead from backing vocals, or a voice from its echo, are made for vocals, models of single drums for
    drums, and models of instruments for the song without the vocals.
    """
    names = [plain(stem) for stem in stems]

    def has(parts: Sequence[str]) -> bool:
        return any(part in name for name in names for part in parts)

    if "karaoke" in plain(model) or has(PARTS_OF_VOCALS):
        return find_stem(VOCALS, given)
    if has(PARTS_OF_DRUMS):
        return find_stem("drums", given)
    if any(name in PARTS_OF_INSTRUMENTALS for name in names):
        found = (find_stem(name, given) for name in INSTRUMENTALS)
        return next((stem for stem in found if stem is not None), None)
    return None


def renamed(names: Mapping[str, str], chosen: Sequence[str]) -> dict[str, str]:
    """The part of ``names``, own name → public name, whose public name is among ``chosen``."""
    return {own: public for own, public in names.items() if public in chosen}

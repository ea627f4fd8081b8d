"""The list of models: facts as data, read into `Entry`.

Each JSON file beside this one holds models of some families. ``official.json`` holds those that unweave knows how to
run before their weights are here, with their weights; `official` makes their descriptions. The others are checkpoints
that people publish: how they run is found out when their file is read (`unweave.families.foreign`).
"""

from unweave.models.catalogue.entry import Download, Entry, EntryFile, Licence, Score
from unweave.models.catalogue.read import entries, find_entry, published

__all__ = ["Download", "Entry", "EntryFile", "Licence", "Score", "entries", "find_entry", "published"]

"""A list of models with toys in it, read as the real one is."""

import json
import shutil

from unweave.models.catalogue import official, read


def listed(monkeypatch, folder, *models):
    """Let the list of models hold the official ones and ``models``."""
    folder.mkdir()
    shutil.copy(read.FOLDER / "official.json", folder)
    (folder / "toys.json").write_text(json.dumps({"models": models}))
    monkeypatch.setattr(read, "FOLDER", folder)
    forget()


def forget():
    """Read the real list again; to be called once ``listed`` is undone."""
    for cached in (read.entries, read.entries_in, read._by_any_name, official.specs):
        cached.cache_clear()

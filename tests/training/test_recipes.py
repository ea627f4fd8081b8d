"""The recipes, which no other test runs, find what they import from the package."""

import ast
import importlib
from pathlib import Path

import pytest

RECIPES = sorted((Path(__file__).parents[2] / "training" / "recipes").rglob("*.py"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_what_a_recipe_imports_is_there(recipe):
    missing = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(recipe.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("unweave", "benchmarks")
        for alias in node.names
        if not hasattr(importlib.import_module(str(node.module)), alias.name)
    ]
    assert missing == []

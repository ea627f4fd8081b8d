"""The notebook runs, the site builds, and no link leads nowhere."""

import doctest
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from unweave.cli.main import app
from unweave.cli.spleeter import app as spleeter
from unweave.models.catalogue.official import specs
from unweave.models.resolve import resolve
from unweave.separation.mix import stem_numbers

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def blocks(language):
    """All blocks of code in a language, with the pages that they are on."""
    for page in PAGES:
        for code in re.findall(rf"^```(?:{language})\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
            yield page.relative_to(ROOT).as_posix(), code


def commands():
    """Each command of unweave's on a page, as a shell would take it apart: (page, words)."""
    for page, code in blocks("sh|console"):
        for line in code.splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            for number, word in enumerate(words):
                if word in ("unweave", ".venv/bin/unweave") and words[number + 1 :]:
                    ends = [i for i, each in enumerate(words) if i > number and each in ("|", "&&")]
                    yield page, words[number + 1 : min(ends, default=len(words))]


def parsed(command, words):
    """The command that ``words`` ask for, and its parameters; nothing is run."""
    while isinstance(command, click.Group):
        _, command, words = command.resolve_command(click.Context(command), words)
    return command, command.make_context(command.name, list(words)).params


def test_commands_on_the_pages_are_understood():
    """Each option exists and each number is within its limits; where a mix names stems, the model has them."""
    n_tried = 0
    for page, words in commands():
        try:
            command, given = parsed(app, words)
        except click.ClickException as error:
            pytest.fail(f"{page}: unweave {shlex.join(words)}: {error.format_message()}")
        n_tried += 1
        if command.name == "remix":
            numbers = stem_numbers((*given["gain"], *given["pan"], *given["sensitivity"]), "=")
            unknown = {*numbers, *given["mute"], *given["solo"]} - set(specs()[resolve(given["model"]).spec.name].stems)
            assert not unknown, f"{page}: unweave {shlex.join(words)}: {unknown}"
    assert n_tried > 60


def test_options_on_the_pages_exist():
    """Those in the text, too."""
    known = {"--help", "--build-arg", "--profile"}  # the last two are other programs'
    waiting = [app, spleeter]
    while waiting:
        command = waiting.pop()
        waiting += command.commands.values() if isinstance(command, click.Group) else []
        known.update(name for each in command.params for name in (*each.opts, *each.secondary_opts))
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for code in re.findall(r"`(--?\w[\w-]*)[^`\n]*`", page.read_text(encoding="utf-8")):
            assert code in known, f"{page.name}: {code}"


def test_the_plan_on_the_page_can_be_trained(tmp_path):
    pytest.importorskip("accelerate")
    from unweave.training.plan import read_plan
    from unweave.training.trainer import _check_fit

    ((_, code),) = ((page, code) for page, code in blocks("toml") if page == "docs/training.md")
    for text in (code, re.sub(r"^# (time_attention|\[distillation|teacher|share)", r"\1", code, flags=re.M)):
        (tmp_path / "plan.toml").write_text(text, encoding="utf-8")
        plan = read_plan(tmp_path / "plan.toml")
        _check_fit(plan, plan.model.to_spec("mine"))


def test_examples_in_docstrings_are_right():
    """All of them, and none is skipped."""
    n_tried = 0
    for path in sorted((ROOT / "src" / "unweave").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if ">>> " not in text:
            continue
        assert "+SKIP" not in text, path
        name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        result = doctest.testmod(importlib.import_module(name))
        assert result.failed == 0, path
        n_tried += result.attempted
    assert n_tried > 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), target


def test_the_site_builds_without_warnings(tmp_path):
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("needs the extra docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "site" / "api" / "index.html").stat().st_size > 10_000


@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(ROOT / "examples" / "unweave.ipynb", as_version=4)
    options = {"timeout": 300, "kernel_name": "python3", "resources": {"metadata": {"path": str(tmp_path)}}}
    nbclient.NotebookClient(notebook, **options).execute()
    assert (tmp_path / "stems" / "made_up" / "vocals.flac").is_file()

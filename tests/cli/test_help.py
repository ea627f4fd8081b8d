"""Help that a musician can read: placeholders instead of types, and every sentence to its end."""

import re

import pytest
import typer.main
from typer.testing import CliRunner

from unweave.cli import main, spleeter


def commands():
    for app in (main.app, spleeter.app):
        root = typer.main.get_command(app)
        for name, command in root.commands.items():
            for inner in getattr(command, "commands", {}):
                yield pytest.param(app, command.commands[inner], [name, inner], id=f"{name} {inner}")
            if not hasattr(command, "commands"):
                yield pytest.param(app, command, [name], id=f"{root.name} {name}")


@pytest.mark.parametrize(("app", "command", "names"), list(commands()))
def test_options_and_arguments_have_placeholders_and_whole_sentences(app, command, names):
    text = " ".join(CliRunner().invoke(app, [*names, "--help"]).stdout.split())
    assert not re.search(r"<[a-z\[]|[{}]\.\.\.|\[OPTIONS\] {", text), text
    for param in command.params:
        assert param.help, param.name
        assert " ".join(param.help.split()).replace("- ", "-") in text.replace("- ", "-")


def test_what_is_missing_is_called_as_in_the_help():
    result = CliRunner().invoke(main.app, ["separate"])
    assert result.exit_code == 2
    assert "[OPTIONS] FILE..." in result.output
    assert "Missing argument 'FILE...'" in result.output

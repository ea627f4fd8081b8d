"""Help that a musician can read: placeholders instead of types, and every sentence to its end."""

import os
import re
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from unweave.cli import main, spleeter


def commands():
    for root in (main.app, spleeter.app):
        for name, command in root.commands.items():
            for inner in getattr(command, "commands", {}):
                yield pytest.param(root, command.commands[inner], [name, inner], id=f"{name} {inner}")
            if not hasattr(command, "commands"):
                yield pytest.param(root, command, [name], id=f"{root.name} {name}")


@pytest.mark.parametrize(("app", "command", "names"), list(commands()))
def test_options_and_arguments_have_placeholders_and_whole_sentences(app, command, names):
    text = " ".join(CliRunner().invoke(app, [*names, "--help"]).stdout.split())
    assert not re.search(r"<[a-z\[]|[{}]\.\.\.|\[OPTIONS\] {", text), text
    assert '""' not in text  # an empty default says nothing
    for param in command.params:
        assert param.help, param.name
        if getattr(param, "hidden", False):
            continue  # an old spelling
        assert " ".join(param.help.split()).replace("- ", "-") in text.replace("- ", "-")


def test_what_is_missing_is_called_as_in_the_help():
    result = CliRunner().invoke(main.app, ["separate"])
    assert result.exit_code == 2
    assert "[OPTIONS] FILE..." in result.output
    assert "Missing argument 'FILE...'" in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(shell):
    result = CliRunner().invoke(main.app, ["--completion", shell])
    assert result.exit_code == 0
    assert f"_UNWEAVE_COMPLETE={shell}_complete" in result.output


@pytest.mark.parametrize("words", ["unweave sep", "unweave --completion bash sep"])
def test_what_a_shell_then_asks_is_answered(words):
    question = {"_UNWEAVE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    command = [sys.executable, "-c", "from unweave.cli.main import app; app(prog_name='unweave')"]
    done = subprocess.run(command, env={**os.environ, **question}, capture_output=True)
    assert done.stdout.strip() == b"plain,separate"


@pytest.mark.parametrize(
    "arguments",
    [
        ["separate"],
        ["separate", "-p"],  # a model's name, or a file
        ["separate", "-o"],
        ["batch"],  # an address, or a folder
        ["batch", "songs"],
        ["live", "-i"],
        ["live", "-o"],
        ["models", "fetch", "4stems", "--from"],
    ],
)
def test_a_shell_completes_files_wherever_there_may_be_one(arguments):
    found = ShellComplete(main.app, {}, "unweave", "_UNWEAVE_COMPLETE").get_completions(arguments, "so")
    assert [(each.type, each.value) for each in found] == [("file", "so")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["separate", "x.wav", "--jobs", "0"], "expected a whole number of at least 1, got 0"),
        (["separate", "x.wav", "--jobs", "1.5"], "expected a whole number of at least 1, got '1.5'"),
        (["separate", "x.wav", "--jobs", ""], "expected a whole number of at least 1, got ''"),
        (["separate", "x.wav", "--offset", "1:30"], "expected a number, got '1:30'"),
        (["separate", "x.wav", "--sample_rate", "44.1k"], "expected a whole number, got '44.1k'"),
        (["separate", "x.mkv", "--track", "10001"], "expected a whole number from 1 to 10000, got 10001"),
        (["live", "--step", "33"], "expected a whole number from 1 to 32, got 33"),
        (["train", "plan.toml", "--minutes", "nan"], "expected a number of at least 0.01, got nan"),
        (["batch", "in", "out", "--price_per_hour", "-1"], "expected a number of at least 0, got -1"),
        (["studio", "--port", "-1"], "expected a whole number from 0 to 65535, got -1"),
    ],
)
def test_numbers_outside_their_limits_are_refused_in_words(arguments, message):
    result = CliRunner().invoke(main.app, arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_a_folder_that_takes_the_rest_of_the_line_with_it_on_windows(monkeypatch):
    r"""What Windows makes of ``"C:\My Music\" -o out``, which PowerShell 5 writes by itself for a completed folder."""
    monkeypatch.setattr(sys, "platform", "win32")
    result = CliRunner().invoke(main.app, ["separate", 'C:\\My Music" -o out'])
    assert result.exit_code == 2
    assert 'C:\\My Music" -o out is no path; leave out the backslash before' in " ".join(result.output.split())


@pytest.mark.parametrize("module", ["main", "spleeter"])
@pytest.mark.parametrize("arguments", [["--help"], ["separate", "--help"]])
def test_help_that_cannot_be_printed_is_one_line_of_error(module, arguments):
    command = [sys.executable, "-m", f"unweave.cli.{module}", *arguments]
    with open("/dev/full", "w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert result.stderr == "unweave: error: No space left on device\n"

"""The command tree: complete, documented, fast to ask, quiet when its reader goes away."""

import subprocess
import sys
import time

import click
import pytest

from llmcore.cli.app import app, run
from tests.support.command import assert_one_line_error, run_llmcore

COMMANDS = {
    "quickstart",
    "tokenizer",
    "pretrain",
    "sft",
    "dpo",
    "eval",
    "generate",
    "chat",
    "info",
    "rerun",
}


def leaves(group: click.Group, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found += leaves(command, (*prefix, name))
        else:
            found.append((*prefix, name))
    return found


def test_all_promised_commands_exist():
    assert set(app.commands) == COMMANDS
    assert {path[1] for path in leaves(app) if path[0] == "tokenizer"} == {
        "train",
        "extend",
        "encode",
        "decode",
        "convert",
        "inspect",
    }


@pytest.mark.parametrize("path", leaves(app), ids=" ".join)
def test_every_command_has_help_with_an_example(path, capsys):
    assert run([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"llmcore {' '.join(path)}" in text.split("Examples:")[1]
    undocumented = [line for line in text.splitlines() if line.strip().startswith("--")]
    assert all(len(line.split()) > 1 for line in undocumented)


def test_help_is_fast_and_loads_no_torch():
    code = (
        "import sys; from llmcore.cli.app import run; run(['--help']);"
        "sys.exit('torch' in sys.modules)"
    )
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        best = min(best, time.perf_counter() - start)
        assert done.returncode == 0, "llmcore --help imported torch"
    assert best < 0.5


def test_no_arguments_prints_help(capsys):
    assert run([]) == 0
    assert "Usage: llmcore" in capsys.readouterr().out


def test_version_is_the_distributions():
    done = run_llmcore("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("llmcore ")


@pytest.mark.parametrize(
    ("words", "needles"),
    [
        (["pretrian", "tiny"], ["pretrian", "'pretrain'"]),
        (["tokenizer", "encod"], ["'encode'"]),
        (["generate", "x", "y", "--sed", "3"], ["--sed", "--seed"]),
        (["pretrain"], ["RECIPE"]),
        (["generate", "x", "y", "--top-p", "3"], ["--top-p"]),
        (["frobnicate"], ["frobnicate"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_usage_errors_are_one_line_with_a_suggestion(words, needles, capsys):
    assert run(words) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("llmcore: error: ") and printed.count("\n") == 1
    assert all(needle in printed for needle in needles), printed


def test_a_usage_error_in_a_real_process():
    assert_one_line_error(run_llmcore("pretrian"), "'pretrain'")


def test_a_closed_pipe_is_quiet():
    code = "from llmcore.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        printed = process.stderr.read()
    assert (process.returncode, printed) == (141, b"")

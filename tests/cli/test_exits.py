"""Exceptions become one line and the documented exit code; bugs keep their traceback."""

import errno

import click
import pytest

from llmcore.cli.exits import error_text, exit_code_of
from llmcore.errors import CheckpointError, ConfigError, Interrupted


def raising(error: BaseException):
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ConfigError("vocab_size must be >= 256, got 3"), "vocab_size must be >= 256, got 3"),
        (CheckpointError("model.safetensors: damaged\nat byte 7"), "damaged at byte 7"),
        (OSError(errno.ENOSPC, "No space left on device", "x.bin"), "x.bin: No space left"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "nope.txt"), "nope.txt: No"),
        (click.UsageError("no such option: --sed"), "no such option: --sed"),
    ],
)
def test_user_errors_are_one_line_and_code_2(error, line, capsys):
    assert exit_code_of(raising(error), []) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("llmcore: error: ") and line in printed
    assert printed.count("\n") == 1


def test_invalid_utf8_names_the_byte_and_its_offset():
    with pytest.raises(UnicodeDecodeError) as caught:
        b"ab\xff".decode("utf-8")
    assert error_text(caught.value) == "input is not utf-8: byte 0xff at offset 2"


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        exit_code_of(raising(ZeroDivisionError()), [])


def test_interrupt_of_a_run_says_how_to_resume(capsys):
    argv = ["pretrain", "tiny", "--no-resume", "--set", "data=my notes.txt"]
    assert exit_code_of(raising(Interrupted("SIGINT: stopped after step 7")), argv) == 130
    assert capsys.readouterr().err == (
        "llmcore: SIGINT: stopped after step 7; resume with: "
        "llmcore pretrain tiny --set 'data=my notes.txt'\n"
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_interrupt_of_anything_else_is_one_line(error, capsys):
    assert exit_code_of(raising(error), ["info"]) == 130
    assert capsys.readouterr().err == "llmcore: interrupted\n"


def test_success_is_zero(capsys):
    assert exit_code_of(lambda: None, []) == 0
    assert exit_code_of(raising(click.exceptions.Exit(0)), []) == 0
    assert capsys.readouterr().err == ""

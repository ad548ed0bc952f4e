"""From an exception to one line on stderr and an exit code.

    0 done    2 a user's mistake or a full disk    130 Ctrl-C    141 the reader of stdout went away

Anything else is a bug of ours and keeps its traceback.
"""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Final

import click

from llmcore.errors import Interrupted, LLMCoreError

EXIT_OK: Final = 0
EXIT_USER_ERROR: Final = 2
EXIT_INTERRUPTED: Final = 130
EXIT_BROKEN_PIPE: Final = 141

RESUMABLE_COMMANDS: Final = frozenset({"quickstart", "pretrain", "sft", "dpo", "rerun"})
"""Commands that go on from their last checkpoint when they are called again."""


def exit_code_of(command: Callable[[], object], argv: Sequence[str]) -> int:
    """Run `command`; print what a user has to know about its end and return the exit code.

    Args:
        command: The parsed command line, ready to run.
        argv: The words after `llmcore`, for the line that says how to resume.
    """
    try:
        command()
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        _print_line(_interrupted_line(error, argv))
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes stdout once more at exit; point it where that cannot fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except (LLMCoreError, click.ClickException, OSError, UnicodeDecodeError) as error:
        _print_line(f"llmcore: error: {error_text(error)}")
        return EXIT_USER_ERROR
    return EXIT_OK


def error_text(error: Exception) -> str:
    """What went wrong, on one line and without the class name."""
    match error:
        case click.ClickException():
            text = error.format_message()
        case UnicodeDecodeError():
            byte = error.object[error.start]
            text = f"input is not {error.encoding}: byte 0x{byte:02x} at offset {error.start}"
        case OSError() if error.strerror:
            place = f"{error.filename}: " if error.filename is not None else ""
            text = f"{place}{error.strerror}"
        case _:
            text = str(error)
    return " ".join(text.split())


def _interrupted_line(error: BaseException, argv: Sequence[str]) -> str:
    # The library's hint names one stage; the words that the user typed resume all of them.
    text = str(error).partition("; resume with")[0] if isinstance(error, Interrupted) else ""
    line = f"llmcore: {text or 'interrupted'}"
    if not argv or argv[0] not in RESUMABLE_COMMANDS:
        return line
    words = [word for word in argv if word not in {"--no-resume", "--resume"}]
    return f"{line}; resume with: {shlex.join(['llmcore', *words])}"


def _print_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

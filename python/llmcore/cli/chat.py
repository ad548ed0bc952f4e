"""`llmcore chat`: a conversation in the terminal, or line by line from a pipe."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmcore.cli import options
from llmcore.errors import DataError

if TYPE_CHECKING:
    from llmcore.cli.speaker import Speaker

HELP = (
    "/reset forgets the conversation, /quit (or Ctrl-D) ends it; a line that ends with \\ goes on."
)


@click.command()
@options.MODEL
@options.sampling_options
@click.option("--system", default="", help="A system message to stand before the conversation.")
def chat(
    model: Path,
    *,
    sampling: dict[str, Any],
    system: str,
) -> None:
    """Talk to the model in folder MODEL.

    /reset forgets the conversation, /quit (or Ctrl-D) ends it. A line that ends with a backslash
    goes on in the next one. With piped input every line is one turn, and only the answers are
    printed.

    \b
    Examples:
      llmcore chat runs/quickstart/dpo
      llmcore chat runs/quickstart/dpo < questions.txt
    """
    from llmcore.cli.speaker import Speaker

    speaker = Speaker.load(model, sampling)
    opening = [("system", system)] if system else []
    is_terminal = sys.stdin.isatty()
    if is_terminal:
        click.echo(HELP, err=True)
    converse(speaker, opening, prompt="> " if is_terminal else "")


def converse(speaker: "Speaker", opening: list[tuple[str, str]], *, prompt: str) -> None:
    """Read turns from standard input until it ends, and print the answers as they are made.

    Args:
        speaker: Who answers.
        opening: The turns that stand before every conversation (the system message).
        prompt: Shown before each line is read.
    """
    turns = list(opening)
    while (line := read_turn(prompt)) is not None:
        match line.strip():
            case "":
                continue
            case "/quit":
                return
            case "/reset":
                turns = list(opening)
                continue
            case text:
                turns = speak(speaker, [*turns, ("user", text)], opening=opening)


def read_turn(prompt: str) -> str | None:
    """One turn of standard input, or None at its end; a backslash at a line's end joins the next.

    Args:
        prompt: Shown before the line is read.
    """
    turn = ""
    while True:
        if prompt:
            click.echo(prompt if not turn else "." * (len(prompt) - 1) + " ", nl=False, err=True)
        raw = sys.stdin.buffer.readline()
        line = raw.decode("utf-8")
        if not line.rstrip("\r\n").endswith("\\"):
            return turn + line if turn or raw else None
        turn += line.rstrip("\r\n")[:-1] + "\n"


def speak(
    speaker: "Speaker", turns: list[tuple[str, str]], *, opening: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Print the answer to `turns` and return them with it.

    A conversation that outgrew the context goes on without its oldest exchanges, saying so.

    Raises:
        DataError: the last turn alone is longer than the context.
    """
    dropped = 0
    while True:
        try:
            pieces = speaker.answer(turns)
            break
        except DataError:
            rest = turns[len(opening) + 2 :]
            if not rest:
                raise
            turns, dropped = [*opening, *rest], dropped + 1
    if dropped:
        click.echo(f"(the {dropped} oldest exchanges no longer fit the context)", err=True)
    answer = ""
    for piece in pieces:
        click.echo(piece, nl=False)
        sys.stdout.flush()
        answer += piece
    click.echo()
    return [*turns, ("assistant", answer)]

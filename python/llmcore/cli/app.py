"""The command tree. Command modules import only click; rooms are imported when a command runs."""

import logging
import os
import sys
from collections.abc import Sequence

import click

from llmcore import __version__
from llmcore.cli.chat import chat
from llmcore.cli.evaluate import evaluate
from llmcore.cli.exits import exit_code_of
from llmcore.cli.generate import generate
from llmcore.cli.info import info
from llmcore.cli.quickstart import quickstart
from llmcore.cli.rerun import rerun
from llmcore.cli.stages import dpo, pretrain, sft
from llmcore.cli.tokenizer import tokenizer


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="llmcore %(version)s")
@click.pass_context
def app(ctx: click.Context) -> None:
    """Train, tune, align, evaluate and talk to language models.

    \b
    From nothing to a chat model:
      llmcore quickstart
      llmcore chat runs/quickstart/dpo
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for command in (
    quickstart,
    tokenizer,
    pretrain,
    sft,
    dpo,
    evaluate,
    generate,
    chat,
    info,
    rerun,
):
    app.add_command(command)


def run(argv: Sequence[str]) -> int:
    """Run one command line (the words after `llmcore`) and return its exit code."""

    def command() -> None:
        with app.make_context("llmcore", list(argv)) as ctx:
            app.invoke(ctx)

    return exit_code_of(command, argv)


def main() -> None:
    """Entry point of the `llmcore` command."""
    # Read when Torch loads OpenMP, so it stands before that. A thread that spins longer loses most
    # of its time where another process wants the core; one that never spins loses a fifth.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    logging.basicConfig(level=logging.WARNING, format="llmcore: %(message)s")
    sys.exit(run(sys.argv[1:]))

"""Options that several commands share, so that they are spelt and explained once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]

OUT = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder of the run.  [default: runs/<command>-<recipe>]",
)
SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override one config field, e.g. optim.peak_lr=1e-3. May be given many times.",
)
RESUME = click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Go on from the newest valid checkpoint in the run's folder.",
)
QUIET = click.option("--quiet", "-q", is_flag=True, help="No progress bar and no summary.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for another program.")
MODEL = click.argument("model", type=click.Path(path_type=Path))


def run_options(command: Command) -> Command:
    """`--set --out --resume --quiet`: what every command that starts a run takes."""
    for option in (QUIET, RESUME, OUT, SET):
        command = option(command)
    return command


def sampling_options(command: Command) -> Command:
    """`--temperature --top-k --top-p --seed --max-new-tokens`."""
    options = (
        click.option(
            "--max-new-tokens",
            type=click.IntRange(min=1),
            default=128,
            show_default=True,
            help="Stop after so many tokens.",
        ),
        click.option(
            "--seed",
            type=click.IntRange(min=0, max=2**63 - 1),
            default=0,
            show_default=True,
            help="The same seed and settings give the same text.",
        ),
        click.option(
            "--top-p",
            type=click.FloatRange(min=0, max=1, min_open=True),
            default=1.0,
            show_default=True,
            help="Sample from the smallest set of tokens with so much probability.",
        ),
        click.option(
            "--top-k",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="Sample from the k likeliest tokens; 0 is all.",
        ),
        click.option(
            "--temperature",
            "-t",
            type=click.FloatRange(min=0),
            default=0.0,
            show_default=True,
            help="0 always takes the likeliest token.",
        ),
    )
    for option in options:
        command = option(command)
    return command

"""Options that several commands share, so that they are spelt and explained once."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from llmcore.errors import ConfigError

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
NUM_THREADS = click.option(
    "--num-threads",
    type=click.IntRange(min=1),
    default=None,
    help="Threads to use.  [default: every processor]",
)
MODEL = click.argument("model", type=click.Path(path_type=Path))


def run_options(command: Command) -> Command:
    """`--set --out --resume --quiet`: what every command that starts a run takes."""
    for option in (QUIET, RESUME, OUT, SET):
        command = option(command)
    return command


_SAMPLING = (
    click.option(
        "--temperature",
        "-t",
        type=click.FloatRange(min=0),
        default=0.0,
        show_default=True,
        help="0 always takes the likeliest token.",
    ),
    click.option(
        "--top-k",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Sample from the k likeliest tokens; 0 is all.",
    ),
    click.option(
        "--top-p",
        type=click.FloatRange(min=0, max=1, min_open=True),
        default=1.0,
        show_default=True,
        help="Sample from the smallest set of tokens with so much probability.",
    ),
    click.option(
        "--min-p",
        type=click.FloatRange(min=0, max=1),
        default=0.0,
        show_default=True,
        help="Sample from tokens with so much of the likeliest one's probability.",
    ),
    click.option(
        "--typical-p",
        type=click.FloatRange(min=0, max=1, min_open=True),
        default=1.0,
        show_default=True,
        help="Sample from the most typical tokens with so much probability.",
    ),
    click.option(
        "--repetition-penalty",
        type=click.FloatRange(min=0, min_open=True),
        default=1.0,
        show_default=True,
        help="Above 1, tokens of prompt and answer become less likely.",
    ),
    click.option(
        "--frequency-penalty",
        type=click.FloatRange(min=-2, max=2),
        default=0.0,
        show_default=True,
        help="Taken off a token's score for each time that it is in the answer.",
    ),
    click.option(
        "--presence-penalty",
        type=click.FloatRange(min=-2, max=2),
        default=0.0,
        show_default=True,
        help="Taken off the score of every token in the answer.",
    ),
    click.option(
        "--logit-bias",
        multiple=True,
        metavar="ID=VALUE",
        help="Add to the score of one token id; -100 bans it. May be given many times.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0, max=2**63 - 1),
        default=0,
        show_default=True,
        help="The same seed and settings give the same text.",
    ),
    click.option(
        "--max-new-tokens",
        type=click.IntRange(min=1),
        default=128,
        show_default=True,
        help="Stop after so many tokens.",
    ),
)
_SAMPLING_NAMES = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "seed",
    "max_new_tokens",
)


def sampling_options(command: Command) -> Command:
    """The options of every command that samples, given to it as one dictionary `sampling`.

    Its keys and values are those of `SamplingParams`.
    """

    @functools.wraps(command)
    def with_sampling(**values: Any) -> None:
        sampling = {name: values.pop(name) for name in _SAMPLING_NAMES}
        sampling["logit_bias"] = dict(map(_parse_bias, sampling["logit_bias"]))
        command(sampling=sampling, **values)

    wrapped: Command = with_sampling
    for option in reversed(_SAMPLING):
        wrapped = option(wrapped)
    return wrapped


def _parse_bias(text: str) -> tuple[int, float]:
    token_id, _, value = text.partition("=")
    try:
        return int(token_id), float(value)
    except ValueError as error:
        raise ConfigError(f"--logit-bias: must be ID=VALUE, got {text!r}") from error

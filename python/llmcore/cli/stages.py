"""`llmcore pretrain | sft | dpo`: a recipe by name, overridden, run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmcore.cli import options

if TYPE_CHECKING:
    from llmcore.training import StageResult

RECIPE = click.argument("recipe")


@click.command()
@RECIPE
@options.run_options
def pretrain(
    recipe: str,
    *,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: bool,
    quiet: bool,
) -> None:
    """Train a decoder from scratch on packed documents.

    RECIPE is a name from llmcore.recipes; an unknown one lists them. Without --set data=PATH it
    trains on this Python's own documentation and source.

    \b
    Examples:
      llmcore pretrain tiny --set tokenizer=runs/quickstart/tokenizer
      llmcore pretrain tiny --set data=notes.txt --set optim.peak_lr=1e-3 --out runs/notes
    """
    from llmcore import pretraining, recipes

    config = recipes.resolve(recipes.PRETRAIN, recipe, overrides)
    result = pretraining.run(
        config, out_dir=out or _default_out("pretrain", recipe), resume=resume, quiet=quiet
    )
    report(result, quiet=quiet)


@click.command()
@RECIPE
@options.run_options
def sft(
    recipe: str,
    *,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: bool,
    quiet: bool,
) -> None:
    """Tune a model on instructions: JSONL rows {"messages": [{"role", "content"}, ...]}.

    RECIPE is a name from llmcore.recipes; an unknown one lists them.

    \b
    Examples:
      llmcore sft tiny
      llmcore sft tiny --set init_from=runs/notes --set train_data=chats.jsonl --out runs/chats
    """
    from llmcore import recipes, tuning

    config = recipes.resolve(recipes.SFT, recipe, overrides)
    result = tuning.run(
        config, out_dir=out or _default_out("sft", recipe), resume=resume, quiet=quiet
    )
    report(result, quiet=quiet)


@click.command()
@RECIPE
@options.run_options
def dpo(
    recipe: str,
    *,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: bool,
    quiet: bool,
) -> None:
    """Align a model on preferences: JSONL rows {"prompt", "chosen", "rejected"} of messages.

    RECIPE is a name from llmcore.recipes; an unknown one lists them.

    \b
    Examples:
      llmcore dpo tiny
      llmcore dpo tiny --set init_from=runs/chats --set train_data=pairs.jsonl --set beta=0.2
    """
    from llmcore import alignment, recipes

    config = recipes.resolve(recipes.DPO, recipe, overrides)
    result = alignment.run(
        config, out_dir=out or _default_out("dpo", recipe), resume=resume, quiet=quiet
    )
    report(result, quiet=quiet)


def report(result: "StageResult", *, quiet: bool) -> None:
    """Say on standard output what a stage left behind."""
    if quiet:
        return
    rate = result.tokens / result.seconds if result.seconds else 0.0
    click.echo(
        f"{result.model_dir}: {result.steps} steps, {result.tokens} tokens, "
        f"{rate:.0f} tokens/s, final loss {result.final_loss:.4f}"
    )


def _default_out(command: str, recipe: str) -> Path:
    return Path("runs") / f"{command}-{recipe}"

"""`llmcore pretrain | sft | dpo`: a recipe by name, overridden, run."""

from pathlib import Path
from typing import Any

import click

from llmcore.cli import options

RECIPE = click.argument("recipe")


@click.command()
@RECIPE
@options.run_options
def pretrain(recipe: str, *, out: Path | None, quiet: bool, **run: Any) -> None:
    """Train a decoder from scratch on packed documents.

    RECIPE is a name from llmcore.recipes; an unknown one lists them.

    \b
    Examples:
      llmcore pretrain tiny --set tokenizer=runs/tok
      llmcore pretrain tiny --set data=notes.txt --set optim.peak_lr=1e-3 --out runs/notes
    """
    from llmcore import pretraining, recipes

    config = recipes.resolve(recipes.PRETRAIN, recipe, run["overrides"])
    out = out or Path("runs") / f"pretrain-{recipe}"
    result = pretraining.run(config, out_dir=out, resume=run["resume"], quiet=quiet)
    _report(result, quiet=quiet, hint="generate")

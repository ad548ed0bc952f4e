"""`llmcore quickstart`: the whole pipeline with its measured promises."""

from pathlib import Path

import click

from llmcore.cli import options


@click.command()
@click.option(
    "--scale",
    type=click.Choice(["full", "smoke"]),
    default="full",
    show_default=True,
    help="smoke runs every stage for a few steps, to see that all of it works.",
)
@click.option(
    "--data",
    type=click.Path(),
    default="",
    help="Text, JSONL or Parquet, a file or a folder.  [default: this Python's own documentation"
    " and source]",
)
@options.run_options
def quickstart(
    scale: str,
    data: str,
    *,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: bool,
    quiet: bool,
) -> None:
    """From nothing to a chat model: tokenizer, pretrain, sft, dpo, eval, report.

    A second call goes on where the first one stopped.

    \b
    Examples:
      llmcore quickstart
      llmcore quickstart --scale smoke
      llmcore quickstart --data my-notes/ --out runs/notes
    """
    from llmcore import config, pipeline, recipes

    recipe = config.apply_overrides(recipes.quickstart(scale, data), overrides)
    folder = "quickstart" if scale == "full" else f"quickstart-{scale}"
    pipeline.run(recipe, out_dir=out or Path("runs") / folder, resume=resume, quiet=quiet)

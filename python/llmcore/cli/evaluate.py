"""`llmcore eval`: measure a model on held-out data."""

import json
from pathlib import Path

import click

from llmcore.cli import options


@click.command("eval")
@options.MODEL
@options.SET
@options.AS_JSON
def evaluate(model: Path, *, overrides: tuple[str, ...], as_json: bool) -> None:
    """Measure the model in folder MODEL: bits per byte, exact match, preference accuracy.

    \b
    Examples:
      llmcore eval runs/quickstart/sft
      llmcore eval runs/notes --set documents=held-out.txt --json
    """
    from llmcore import config, evals

    setting = config.apply_overrides(evals.EvalConfig(model=str(model)), overrides)
    metrics = evals.run(setting)
    if as_json:
        click.echo(json.dumps(metrics, indent=2))
        return
    width = max(map(len, metrics), default=0)
    for name, value in metrics.items():
        click.echo(f"{name:<{width}}  {value:.4f}")

"""`llmcore generate`: continue a prompt."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from llmcore.cli import options


@click.command()
@options.MODEL
@click.argument("prompt", default="-")
@options.sampling_options
@click.option("--as-chat", is_flag=True, help="Treat the prompt as a user's turn.")
@options.AS_JSON
def generate(
    model: Path,
    prompt: str,
    *,
    sampling: dict[str, Any],
    as_chat: bool,
    as_json: bool,
) -> None:
    """Continue PROMPT (or standard input) with the model in folder MODEL.

    \b
    Examples:
      llmcore generate runs/quickstart/pretrain "def main("
      llmcore generate runs/quickstart/dpo "Reverse the word stone." --as-chat
      llmcore generate runs/quickstart/pretrain "import " -t 0.8 --top-k 40 --seed 7
    """
    from llmcore.cli.speaker import Speaker

    speaker = Speaker.load(model, sampling)
    text = sys.stdin.buffer.read().decode("utf-8") if prompt == "-" else prompt
    pieces = speaker.answer([("user", text)]) if as_chat else speaker.complete(text)
    if as_json:
        click.echo(json.dumps({"prompt": text, "completion": "".join(pieces)}, ensure_ascii=False))
        return
    for piece in pieces:
        click.echo(piece, nl=False)
        sys.stdout.flush()
    click.echo()

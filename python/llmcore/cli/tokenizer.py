"""`llmcore tokenizer train | extend | encode | decode | convert | inspect`."""

import click

from llmcore.cli.tokenizer_files import convert, inspect
from llmcore.cli.tokenizer_text import decode, encode
from llmcore.cli.tokenizer_training import extend, train


@click.group()
def tokenizer() -> None:
    """Train and use tokenizers, and turn their files into one another.

    TOKENIZER is a file or a folder in any known format, told by its content: tokenizer.json,
    tiktoken ranks, SentencePiece's .model, GGUF, vocab.txt, or vocab.json with merges.txt.
    """


for command in (train, extend, encode, decode, convert, inspect):
    tokenizer.add_command(command)

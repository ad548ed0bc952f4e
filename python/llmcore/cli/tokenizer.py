"""`llmcore tokenizer train | encode | decode`."""

import json
import sys
from pathlib import Path

import click

from llmcore.cli import options

TOKENIZER = click.argument("tokenizer_path", metavar="TOKENIZER", type=click.Path(path_type=Path))


@click.group()
def tokenizer() -> None:
    """Train a byte-level BPE tokenizer; turn text into ids and back."""


@tokenizer.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--vocab-size",
    type=int,
    default=4096,
    show_default=True,
    help="Number of ids, the 256 bytes and the special tokens included.",
)
@click.option(
    "--special-token",
    "special_tokens",
    multiple=True,
    help="Give it in order of its id.  [default: the three that chat needs]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="A tokenizer.json file, or a folder to hold one.",
)
@options.QUIET
def train(
    inputs: tuple[str, ...],
    *,
    vocab_size: int,
    special_tokens: tuple[str, ...],
    out: Path,
    quiet: bool,
) -> None:
    """Learn merges from INPUT files or folders (text, JSONL, Parquet).

    \b
    Examples:
      llmcore tokenizer train notes.txt --vocab-size 4096 --out runs/tok
      llmcore tokenizer train corpus.parquet more.jsonl --vocab-size 32768 --out tok.json
    """
    from llmcore import data, tokenizers

    texts = (document.text for path in inputs for document in data.read_documents(path))
    trained = tokenizers.Tokenizer.train(
        texts,
        vocab_size=vocab_size,
        special_tokens=special_tokens or tokenizers.CHAT_SPECIAL_TOKENS,
    )
    trained.save(out)
    if not quiet:
        click.echo(f"{trained.vocab_size} ids in {out}")


@tokenizer.command()
@TOKENIZER
@click.argument("text", default="-")
@click.option("--special", is_flag=True, help="Read special-token spellings as special tokens.")
@options.AS_JSON
def encode(tokenizer_path: Path, text: str, *, special: bool, as_json: bool) -> None:
    """Print the ids of TEXT, or of standard input.

    \b
    Examples:
      llmcore tokenizer encode runs/quickstart/tokenizer "def main():"
      llmcore tokenizer encode tok.json --json < notes.txt
    """
    from llmcore.tokenizers import Tokenizer

    loaded = Tokenizer.load(tokenizer_path)
    ids = loaded.encode(
        _standard_input() if text == "-" else text, allowed_special="all" if special else "none"
    )
    click.echo(json.dumps(ids) if as_json else " ".join(map(str, ids)))


@tokenizer.command()
@TOKENIZER
@click.argument("ids", nargs=-1)
def decode(tokenizer_path: Path, ids: tuple[str, ...]) -> None:
    """Print the text of IDS, or of the ids on standard input.

    \b
    Examples:
      llmcore tokenizer decode runs/quickstart/tokenizer 301 522 17
      llmcore tokenizer encode tok.json "hello" | llmcore tokenizer decode tok.json
    """
    from llmcore.tokenizers import Tokenizer

    loaded = Tokenizer.load(tokenizer_path)
    words = ids or _standard_input().replace(",", " ").strip(" []\n").split()
    click.echo(loaded.decode([_token_id(word, loaded.vocab_size) for word in words]))


def _token_id(word: str, vocab_size: int) -> int:
    if not word.isdecimal() or int(word) >= vocab_size:
        raise click.BadParameter(f"ids must be numbers from 0 to {vocab_size - 1}, got {word!r}")
    return int(word)


def _standard_input() -> str:
    return sys.stdin.buffer.read().decode("utf-8")

"""`llmcore tokenizer train` and `extend`: vocabularies from text."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from llmcore.cli import options
from llmcore.cli.progress import WorkProgress

INPUTS = click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path())
OUT = click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="A tokenizer.json file, or a folder to hold one.",
)
MIN_FREQUENCY = click.option(
    "--min-frequency",
    type=click.IntRange(min=0),
    default=None,
    help="Leave out what is seen less often.",
)
SET = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="One of the algorithm's own options, e.g. tie_break=bytes. May be given many times.",
)


@click.command()
@INPUTS
@click.option(
    "--algorithm",
    type=click.Choice(["bpe", "wordpiece", "unigram"]),
    default="bpe",
    show_default=True,
    help="What kind of vocabulary to learn.",
)
@click.option(
    "--vocab-size",
    type=int,
    default=4096,
    show_default=True,
    help="Number of ids, special tokens (and the 256 bytes of byte-level BPE) included.",
)
@click.option(
    "--pattern",
    default=None,
    help="How text is split first: gpt2, cl100k_base, o200k_base, llama3, qwen2, ... or a regular "
    "expression.  [default: as the algorithm has it]",
)
@click.option(
    "--byte-level/--no-byte-level",
    default=None,
    help="Learn on bytes, so that every text has ids, or on characters.  [default: bytes for BPE]",
)
@click.option(
    "--special-token",
    "special_tokens",
    multiple=True,
    help="Give it in order of its id.  [default: the three that chat needs for BPE, else as the "
    "algorithm has it]",
)
@MIN_FREQUENCY
@SET
@options.NUM_THREADS
@OUT
@options.QUIET
def train(
    inputs: tuple[str, ...],
    *,
    algorithm: str,
    special_tokens: tuple[str, ...],
    settings: tuple[str, ...],
    out: Path,
    quiet: bool,
    **named: Any,
) -> None:
    """Learn a vocabulary from INPUT files or folders (text, JSONL, Parquet).

    JSONL needs a string "text" in every row, Parquet a column "text". Any number of threads gives
    the same vocabulary.

    \b
    Examples:
      llmcore tokenizer train notes.txt --vocab-size 4096 --out runs/tok
      llmcore tokenizer train corpus.parquet more.jsonl --vocab-size 32768 --out tok.json
      llmcore tokenizer train code/ --pattern o200k_base --min-frequency 2 --out runs/code
      llmcore tokenizer train novel.txt --algorithm unigram --vocab-size 8000 --out runs/uni
      llmcore tokenizer train text/ --no-byte-level --set byte_fallback=true --out runs/chars
    """
    from llmcore import tokenizers

    chat_tokens = tokenizers.CHAT_SPECIAL_TOKENS if algorithm == "bpe" else None
    extra = given(special_tokens=special_tokens or chat_tokens, **named)
    extra |= dict(map(_setting, settings))
    with WorkProgress(quiet=quiet) as shown:
        trained = tokenizers.Tokenizer.train(
            read_texts(inputs, shown),
            algorithm=algorithm,
            progress=stages(shown),
            **extra,
        )
    trained.save(out)
    if not quiet:
        click.echo(f"{trained.vocab_size} ids in {out}")


@click.command()
@click.argument("tokenizer_path", metavar="TOKENIZER", type=click.Path(path_type=Path))
@INPUTS
@click.option("--vocab-size", type=int, required=True, help="Number of ids, the old ones included.")
@MIN_FREQUENCY
@SET
@options.NUM_THREADS
@OUT
@options.QUIET
def extend(
    tokenizer_path: Path,
    inputs: tuple[str, ...],
    *,
    vocab_size: int,
    min_frequency: int | None,
    settings: tuple[str, ...],
    num_threads: int | None,
    out: Path,
    quiet: bool,
) -> None:
    """Go on training TOKENIZER's vocabulary on INPUT; every id that it has keeps its meaning.

    \b
    Examples:
      llmcore tokenizer extend tok.json medicine.jsonl --vocab-size 40000 --out tok-medicine.json
      llmcore tokenizer extend runs/tok code/ --vocab-size 8192 --min-frequency 5 --out runs/tok2
      llmcore tokenizer extend vocab.txt notes.txt --vocab-size 32000 --set score=likelihood --out b
    """
    from llmcore.tokenizers import Tokenizer

    loaded = Tokenizer.load(tokenizer_path)
    extra = given(min_frequency=min_frequency, num_threads=num_threads)
    extra |= dict(map(_setting, settings))
    with WorkProgress(quiet=quiet) as shown:
        extended = loaded.extend(
            read_texts(inputs, shown), vocab_size=vocab_size, progress=stages(shown), **extra
        )
    extended.save(out)
    if not quiet:
        new = extended.vocab_size - loaded.vocab_size
        click.echo(f"{extended.vocab_size} ids in {out}, {new} of them new")


def given(**values: Any) -> dict[str, Any]:
    """The options that the command line has; the library's defaults hold for the others."""
    return {name: value for name, value in values.items() if value is not None}


def _setting(word: str) -> tuple[str, Any]:
    """`tie_break=bytes`, `character_coverage=0.9995`, `byte_fallback=true`: JSON, else text."""
    name, equals, value = word.partition("=")
    if not equals or not name.isidentifier():
        raise click.BadParameter(f"--set must be KEY=VALUE, got {word!r}")
    if name in ("algorithm", "progress", "source"):
        raise click.BadParameter(f"--set must name one of the algorithm's options, got {name!r}")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def stages(shown: WorkProgress) -> Any:
    """The library's progress calls; reading is shown by `read_texts`."""

    def update(stage: str, done: int, total: int) -> None:
        if stage != "count":
            shown.update({"merge": "merging"}.get(stage, stage), done, total, "tokens")

    return update


def read_texts(inputs: tuple[str, ...], shown: WorkProgress) -> Iterator[str]:
    """Texts of all documents, one at a time."""
    from llmcore import data

    total = sum(map(_num_bytes, inputs))
    before = size = 0
    file, num_rows = "", 0
    read = 0
    for path in inputs:
        for document in data.read_documents(path):
            name, number = _place(document.name)
            if name != file:
                before, read, file = before + size, 0, name
                size, num_rows = _num_bytes(file), _num_rows(file)
            yield document.text
            read += document.num_bytes
            inside = size * number // num_rows if num_rows else min(read, size)
            shown.update("reading", before + inside, total)


def _place(name: str) -> tuple[str, int]:
    """File and row (or part) of a document's name."""
    found = re.fullmatch(r"(.*)[:#](\d+)", name, re.DOTALL)
    return (found[1], int(found[2])) if found and os.path.isfile(found[1]) else (name, 0)


def _num_bytes(path: str) -> int:
    from llmcore.data.documents import TABLE_SUFFIXES, TEXT_SUFFIXES

    suffixes = TEXT_SUFFIXES + TABLE_SUFFIXES
    if os.path.isdir(path):
        files = (f for f in Path(path).rglob("*") if f.suffix.lower() in suffixes and f.is_file())
        return sum(f.stat().st_size for f in files)
    return os.path.getsize(path) if os.path.exists(path) else 0  # reading it says what is wrong


def _num_rows(file: str) -> int:
    """Rows of a Parquet file, whose size says little about its text; 0 for others."""
    if not file.lower().endswith(".parquet"):
        return 0
    import pyarrow.parquet

    return int(pyarrow.parquet.read_metadata(file).num_rows)

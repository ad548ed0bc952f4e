"""`llmcore tokenizer encode` and `decode`: between text and ids."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from llmcore.cli import options
from llmcore.cli.output_file import IdWriter, Stream, id_writer, read_ids
from llmcore.cli.progress import WorkProgress

if TYPE_CHECKING:
    from llmcore.tokenizers import Tokenizer

BLOCK_BYTES: Final = 1 << 22
"""Text in memory at a time, where the tokenizer lets a text be cut."""

Piece = tuple[Any, Any, int]

TOKENIZER = click.argument("tokenizer_path", metavar="TOKENIZER", type=click.Path(path_type=Path))
INPUT = click.option(
    "--input",
    "-i",
    "input_path",
    type=click.Path(path_type=Path),
    default=None,
    help="Read this file instead of TEXT or standard input.",
)
LINES = click.option("--lines", is_flag=True, help="Every line is a text of its own.")


@click.command()
@TOKENIZER
@click.argument("text", default="-")
@INPUT
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Write the ids here: .npy, .bin (little-endian uint32), .jsonl, else text.",
)
@LINES
@click.option("--special", is_flag=True, help="Read special-token spellings as special tokens.")
@click.option("--add-special", is_flag=True, help="Add the tokens that the model wants around.")
@click.option("--stats", is_flag=True, help="Print tokens per byte and MB/s, not the ids.")
@options.NUM_THREADS
@options.AS_JSON
@options.QUIET
def encode(
    tokenizer_path: Path,
    *,
    text: str,
    input_path: Path | None,
    out: Path | None,
    special: bool,
    stats: bool,
    as_json: bool,
    quiet: bool,
    **how: Any,
) -> None:
    """Print the ids of TEXT, of a file, or of standard input.

    Any bytes will do, UTF-8 or not. A large file is read bit by bit wherever that gives the ids of
    the whole: with --lines, and with byte-level BPE of a known pattern.

    \b
    Examples:
      llmcore tokenizer encode runs/quickstart/tokenizer "def main():"
      llmcore tokenizer encode tok.json --json < notes.txt
      llmcore tokenizer encode tok.json -i corpus.txt --out corpus.npy
      llmcore tokenizer encode tok.json -i corpus.txt --stats
      llmcore tokenizer encode tok.json -i questions.txt --lines --out questions.jsonl
    """
    from llmcore.tokenizers import Tokenizer
    from llmcore.tokenizers.whole_file import replacing

    loaded = Tokenizer.load(tokenizer_path)
    allowed = "all" if special else "none"
    counted = _Counted()
    with contextlib.ExitStack() as stack:
        blocks, total = _blocks(stack, text, input_path)
        shown = stack.enter_context(WorkProgress(quiet=quiet))
        writer: IdWriter | None = None
        if out is not None:
            writer = id_writer(stack.enter_context(replacing(out)), out.name, as_json=as_json)
        elif not stats:
            writer = id_writer(sys.stdout.buffer, "", as_json=as_json)
        for ids, offsets, num_bytes in counted.timed(_pieces(loaded, blocks, allowed, **how)):
            counted.add(len(ids), num_bytes)
            if writer is not None:
                writer.add(ids) if offsets is None else writer.add_texts(ids, offsets)
            shown.update("encoding", counted.num_bytes, total)
        if writer is not None:
            if not how["lines"]:
                writer.end_text()
            writer.finish()
    if stats:
        click.echo(json.dumps(counted.table()) if as_json else counted.lines())
    elif out is not None and not quiet:
        click.echo(f"{counted.num_tokens} ids in {out}")


def _pieces(
    loaded: "Tokenizer",
    blocks: Iterable[bytes],
    allowed: str,
    *,
    lines: bool,
    add_special: bool,
    num_threads: int | None,
) -> Iterator[Piece]:
    """Ids, their texts' offsets (None: all are of one text), the bytes that they stand for."""
    from llmcore.tokenizers.text_blocks import encode_blocks

    if lines:
        for batch in _line_batches(blocks):
            ids, offsets = loaded.encode_batch(
                [line.removesuffix(b"\n") for line in batch],
                num_threads,
                add_special_tokens=add_special,
                allowed_special=allowed,
            )
            yield ids, offsets, sum(map(len, batch))
        return
    if add_special:  # what is added stands around the whole
        text = b"".join(blocks)
        ids = loaded.encode_array(text, add_special_tokens=True, allowed_special=allowed)
        yield ids, None, len(text)
        return
    for ids, size in encode_blocks(
        loaded, blocks, allowed_special=allowed, num_threads=num_threads
    ):
        yield ids, None, size


def _line_batches(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Whole lines with their ends, about one block of them at a time."""
    begun: list[bytes] = []  # parts of the line that the next block goes on with
    for block in blocks:
        *whole, last = block.split(b"\n")
        if whole:
            whole[0] = b"".join([*begun, whole[0]])
            begun = []
            yield [line + b"\n" for line in whole]
        if last:
            begun.append(last)
    if begun:
        yield [b"".join(begun)]


def _blocks(
    stack: contextlib.ExitStack, text: str, input_path: Path | None
) -> tuple[Iterable[bytes], int]:
    """What to encode, and its size, 0 if nobody knows."""
    if input_path is not None and text != "-":
        raise click.UsageError("give TEXT or --input, not both")
    if input_path is None and text != "-":
        data = os.fsencode(text)
        return [data], len(data)
    if input_path is None:
        return _read(sys.stdin.buffer), 0
    stream = stack.enter_context(input_path.open("rb"))
    return _read(stream), os.fstat(stream.fileno()).st_size


def _read(stream: Stream) -> Iterator[bytes]:
    while block := stream.read(BLOCK_BYTES):
        yield block


class _Counted:
    """Sizes, and the time that reading and encoding took."""

    def __init__(self) -> None:
        self.num_bytes = self.num_tokens = 0
        self._seconds = 0.0

    def timed(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        while True:
            began = time.perf_counter()
            piece = next(pieces, None)
            self._seconds += time.perf_counter() - began
            if piece is None:
                return
            yield piece

    def add(self, num_tokens: int, num_bytes: int) -> None:
        self.num_tokens += num_tokens
        self.num_bytes += num_bytes

    def table(self) -> dict[str, Any]:
        size, count = self.num_bytes, self.num_tokens
        return {
            "bytes": size,
            "tokens": count,
            "tokens_per_byte": count / size if size else None,
            "bytes_per_token": size / count if count else None,
            "seconds": self._seconds,
            "mb_per_s": size / self._seconds / 1e6 if self._seconds else None,
        }

    def lines(self) -> str:
        shown = {
            name: f"{value:.4g}" if isinstance(value, float) else value
            for name, value in self.table().items()
        }
        return "\n".join(f"{name:<16} {value}" for name, value in shown.items())


@click.command()
@TOKENIZER
@click.argument("ids", nargs=-1)
@INPUT
@LINES
@click.option("--skip-special", is_flag=True, help="Leave special tokens out of the text.")
@click.option("--raw", is_flag=True, help="Write the exact bytes, and no line end behind them.")
def decode(
    tokenizer_path: Path,
    ids: tuple[str, ...],
    *,
    input_path: Path | None,
    lines: bool,
    skip_special: bool,
    raw: bool,
) -> None:
    """Print the text of IDS, of a file of ids, or of the ids on standard input.

    A file is what `encode --out` writes: .npy, .bin, .jsonl or text.

    \b
    Examples:
      llmcore tokenizer decode runs/quickstart/tokenizer 301 522 17
      llmcore tokenizer encode tok.json "hello" | llmcore tokenizer decode tok.json
      llmcore tokenizer decode tok.json -i corpus.npy --raw > corpus.txt
    """
    from llmcore.tokenizers import Tokenizer

    loaded = Tokenizer.load(tokenizer_path)
    if raw and skip_special:
        raise click.UsageError("give --raw or --skip-special, not both")
    for numbers in _id_lists(loaded, ids, input_path, lines=lines):
        if raw:
            sys.stdout.buffer.write(loaded.decode_bytes(numbers))
        else:
            click.echo(loaded.decode(numbers, skip_special_tokens=skip_special))
    sys.stdout.flush()


def _id_lists(
    loaded: "Tokenizer", words: tuple[str, ...], input_path: Path | None, *, lines: bool
) -> Iterator[Any]:
    """The ids of each text."""
    if words:
        if input_path is not None:
            raise click.UsageError("give IDS or --input, not both")
        yield [_token_id(word, loaded.vocab_size) for word in words]
        return
    if input_path is not None and input_path.suffix.lower() in (".npy", ".bin"):
        yield read_ids(input_path)
        return
    data = sys.stdin.buffer.read() if input_path is None else input_path.read_bytes()
    text = data.decode("utf-8")
    for line in text.splitlines() if lines else [text]:
        found = line.replace(",", " ").replace("[", " ").replace("]", " ").split()
        yield [_token_id(word, loaded.vocab_size) for word in found]


def _token_id(word: str, vocab_size: int) -> int:
    if not word.isdecimal() or len(word) > 20 or int(word) >= vocab_size:
        raise click.BadParameter(
            f"ids must be numbers from 0 to {vocab_size - 1}, got {word[:40]!r}"
        )
    return int(word)

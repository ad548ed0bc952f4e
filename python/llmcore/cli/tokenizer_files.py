"""`llmcore tokenizer convert` and `inspect`: files of tokenizers."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from llmcore.cli import options

if TYPE_CHECKING:
    from rich.text import Text

    from llmcore.tokenizers import Tokenizer

FORMATS: Final = (
    "llmcore",
    "tokenizer.json",
    "tiktoken",
    "sentencepiece",
    "gguf",
    "vocab.txt",
    "vocab.json",
)
_FORMAT_OF_SUFFIX: Final = {
    ".json": "tokenizer.json",
    ".tiktoken": "tiktoken",
    ".model": "sentencepiece",
    ".gguf": "gguf",
    ".txt": "vocab.txt",
}
_COLOURS: Final = ("black on cyan", "black on yellow", "black on green", "black on magenta")
_MAX_SHOWN: Final = 16
"""Special tokens printed; `--json` has them all."""

TOKENIZER = click.argument("tokenizer_path", metavar="TOKENIZER", type=click.Path(path_type=Path))
PATTERN = click.option(
    "--pattern",
    default=None,
    help="Split pattern that the file lacks (tiktoken ranks): a name or a regular expression.",
)
SPECIAL_TOKENS = click.option(
    "--special-token",
    "special_tokens",
    multiple=True,
    metavar="TEXT=ID",
    help="A special token that the file lacks. May be given many times.",
)


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    default=None,
    help="What to write.  [default: as OUT's ending says, else a folder of ours]",
)
@PATTERN
@SPECIAL_TOKENS
@options.QUIET
def convert(
    source: Path,
    target: Path,
    *,
    format_name: str | None,
    pattern: str | None,
    special_tokens: tuple[str, ...],
    quiet: bool,
) -> None:
    """Write the tokenizer IN, of any format, as OUT.

    What OUT's format cannot express is refused by name, so that the ids stay the same.

    \b
    Examples:
      llmcore tokenizer convert model.gguf tokenizer.json
      llmcore tokenizer convert tokenizer.model runs/tok
      llmcore tokenizer convert tokenizer.json ranks.tiktoken
      llmcore tokenizer convert my.tiktoken out --pattern cl100k_base --special-token '<|end|>=9000'
    """
    loaded = _load(source, pattern, special_tokens)
    name = format_name or _FORMAT_OF_SUFFIX.get(target.suffix.lower(), "llmcore")
    written = loaded.save(target, format=name)
    if not quiet:
        click.echo(f"{loaded.vocab_size} ids in {written} ({name})")


@click.command()
@TOKENIZER
@click.option("--text", default=None, help="Show how this text is cut into tokens.")
@click.option("--special", is_flag=True, help="Read special-token spellings as special tokens.")
@PATTERN
@SPECIAL_TOKENS
@options.AS_JSON
def inspect(
    tokenizer_path: Path,
    *,
    text: str | None,
    special: bool,
    pattern: str | None,
    special_tokens: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print what TOKENIZER is made of, and how it cuts a text.

    \b
    Examples:
      llmcore tokenizer inspect tokenizer.json
      llmcore tokenizer inspect model.gguf --text "Hello, world"
      llmcore tokenizer inspect tokenizer.model --json
    """
    loaded = _load(tokenizer_path, pattern, special_tokens)
    facts = _facts(loaded)
    data = None if text is None else os.fsencode(text)
    tokens = None if data is None else _tokens(loaded, data, special=special)
    if as_json:
        click.echo(json.dumps(facts | ({} if tokens is None else {"tokens": tokens}), indent=2))
        return
    for name, value in facts.items():
        click.echo(f"{name:<15} {_shown(name, value)}")
    if tokens is not None and data is not None:
        _print_tokens(tokens, data)


def _load(path: Path, pattern: str | None, special_tokens: tuple[str, ...]) -> "Tokenizer":
    from llmcore.tokenizers import Tokenizer

    specials = dict(map(_parse_special, special_tokens)) if special_tokens else None
    return Tokenizer.load(path, pattern=pattern, special_tokens=specials)


def _parse_special(word: str) -> tuple[str, int]:
    text, _, token_id = word.rpartition("=")
    if not text or not token_id.isdecimal() or len(token_id) > 10:
        raise click.BadParameter(f"--special-token must be TEXT=ID, got {word!r}")
    return text, int(token_id)


def _facts(loaded: "Tokenizer") -> dict[str, Any]:
    """What a tokenizer is made of, as JSON values."""
    table = loaded.spec.to_dict()
    options_given = {name: value for name, value in table["options"].items() if value}
    return {
        "algorithm": loaded.algorithm,
        "ids": loaded.vocab_size,
        "merges": len(table["merges"]),
        "byte_level": table["byte_level"],
        "options": options_given,
        "normalizer": json.loads(table["normalizer"]),
        "pre_tokenizer": json.loads(table["pre_tokenizer"]),
        "post_processor": json.loads(table["post_processor"]),
        "decoder": json.loads(table["decoder"]),
        "special_tokens": loaded.special_tokens,
        "other_added": {a["content"]: a["id"] for a in table["added"] if not a["special"]},
        "chat_template": loaded.chat_template,
    }


def _shown(name: str, value: Any) -> str:
    """One fact on one line."""
    if value is None or value == {}:
        return "none"
    if name in ("special_tokens", "other_added"):
        listed = [f"{_visible(text)}={token_id}" for text, token_id in value.items()]
        more = f" and {len(listed) - _MAX_SHOWN} more" if len(listed) > _MAX_SHOWN else ""
        return " ".join(listed[:_MAX_SHOWN]) + more
    if name == "chat_template":
        return f"{len(value)} characters"
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False)
    # A precompiled character map is long, and no text.
    return text if len(text) <= 300 else f"{text[:280]}... ({len(text)} characters)"


def _tokens(loaded: "Tokenizer", data: bytes, *, special: bool) -> list[dict[str, Any]]:
    """One entry per token: id, its spelling in the vocabulary, and its part of the text."""
    allowed = "all" if special else "none"
    ids, spans = loaded.encode_with_offsets(data, allowed_special=allowed, unit="byte")
    return [
        {
            "id": token_id,
            "token": loaded.id_to_token(token_id),
            "begin": begin,
            "end": end,
            "text": data[begin:end].decode("utf-8", "replace"),
        }
        for token_id, (begin, end) in zip(ids, spans, strict=True)
    ]


def _print_tokens(tokens: list[dict[str, Any]], data: bytes) -> None:
    """The text in the colours of its tokens, then a table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True, highlight=False)
    console.print()
    console.print(_coloured(tokens, data))
    table = Table(box=box.SIMPLE)
    for name in ("#", "id", "token", "text", "bytes"):
        table.add_column(name, justify="right" if name in ("#", "id", "bytes") else "left")
    for i, token in enumerate(tokens):
        table.add_row(
            str(i),
            str(token["id"]),
            _cell(token["token"], i),
            _visible(token["text"]),
            f"{token['begin']}-{token['end']}",
        )
    console.print(table)


def _coloured(tokens: list[dict[str, Any]], data: bytes) -> "Text":
    """The text, tokens that share a character as one stretch; what no token has is plain."""
    from rich.text import Text

    line, done = Text(), 0
    for i, token in enumerate(tokens):
        if token["end"] > done and token["begin"] >= done:
            line.append(_visible(data[done : token["begin"]].decode("utf-8", "replace")))
            line.append(_visible(token["text"]), style=_COLOURS[i % len(_COLOURS)])
            done = token["end"]
    line.append(_visible(data[done:].decode("utf-8", "replace")))
    return line


def _cell(text: str, i: int) -> "Text":
    from rich.text import Text

    return Text(_visible(text), style=_COLOURS[i % len(_COLOURS)])


def _visible(text: str) -> str:
    """The text on one line, with what a terminal would act on as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

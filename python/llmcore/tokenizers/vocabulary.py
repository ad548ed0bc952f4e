"""What a byte-level BPE tokenizer is made of, as data."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class AddedToken:
    """A token found in the text as written, before the text is split.

    `special` tokens are recognised only where the caller allows them; the others always.
    `normalized` ones are looked for after the `normalized=False` ones.
    """

    id: int
    content: str
    special: bool = True
    normalized: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """A byte-level BPE vocabulary.

    `tokens[i]` is the text of id i, its bytes written in GPT-2's byte alphabet (added tokens: as
    they are). `merges` holds "left right" strings or [left, right] lists, best first.
    `ignore_merges` takes a whole pre-token that is a token without merging.
    """

    tokens: list[Any]
    merges: list[Any]
    added_tokens: tuple[AddedToken, ...] = ()
    ignore_merges: bool = False

"""Encode a text that comes in blocks, with the ids of the whole."""

from collections.abc import Callable, Iterable, Iterator, Set
from typing import Any

import numpy as np
import numpy.typing as npt

from llmcore import _bindings
from llmcore.tokenizers.tokenizer import AllowedSpecial, Tokenizer

_TAIL_BYTES = 1 << 16, 1 << 20
"""Where a place to cut is looked for: near the end, then farther off; beyond that, later."""
_SPACE = frozenset(b"\t\n\v\f\r ")
_MAX_CHAR_BYTES = 4

Ids = npt.NDArray[np.uint32]


def encode_blocks(
    tokenizer: Tokenizer,
    blocks: Iterable[bytes],
    *,
    allowed_special: AllowedSpecial = "none",
    num_threads: int | None = None,
) -> Iterator[tuple[Ids, int]]:
    """Yield ids and the number of bytes that they stand for, until the blocks end.

    Laid end to end the ids are those of all blocks as one text. Byte-level BPE whose split pattern
    is a known one holds no more than a block and the rest of the one before: text is cut at white
    space where neither side's ids depend on the other. For other tokenizers there is no such place
    in general, and the blocks are joined first.

    Args:
        tokenizer: Any.
        blocks: Bytes, cut anywhere.
        allowed_special: As in `Tokenizer.encode`.
        num_threads: As in `Tokenizer.encode_batch`.
    """
    find_cut = _cut_finder(tokenizer, allowed_special)
    held = bytearray()
    for block in blocks:
        held += block
        cut = find_cut(held)
        if cut > 0:
            yield _encoded(tokenizer, bytes(held[:cut]), allowed_special, num_threads)
            del held[:cut]
    if held:
        yield _encoded(tokenizer, bytes(held), allowed_special, num_threads)


def _encoded(
    tokenizer: Tokenizer, text: bytes, allowed: AllowedSpecial, num_threads: int | None
) -> tuple[Ids, int]:
    ids, _ = tokenizer.encode_batch([text], num_threads, allowed_special=allowed)
    return ids, len(text)


def _cut_finder(tokenizer: Tokenizer, allowed: AllowedSpecial) -> Callable[[bytearray], int]:
    """A function that gives the last place where a text may be cut, 0 if there is none."""
    spec = tokenizer.spec
    options = spec.to_dict()["options"] if spec.kind == "bpe" else {"dropout": 1}
    pattern = _bindings.PreTokenizer.from_json(spec.pre_tokenizer).known_pattern
    is_plain = spec.normalizer == "null" and not options["dropout"] and pattern is not None
    if not is_plain or any(_may_cross(token, allowed) for token in spec.added):
        return lambda text: 0

    def find(text: bytearray) -> int:
        for size in _TAIL_BYTES:
            start = max(len(text) - size, 0)
            tail = bytes(text[start:])
            # The tail may begin inside a character.
            least = 0 if start == 0 else _MAX_CHAR_BYTES
            for cut in reversed(_bindings.safe_cuts(str(pattern), tail).tolist()):
                if cut >= least and tail[cut] in _SPACE:
                    return int(start + cut)
        return 0

    return find


def _may_cross(token: dict[str, Any], allowed: AllowedSpecial) -> bool:
    """Whether an added token that is looked for can reach over white space."""
    if token["special"] and allowed != "all":
        is_named = isinstance(allowed, Set) and token["content"] in allowed
        if not is_named:
            return False
    has_space = not _SPACE.isdisjoint(token["content"].encode())
    return bool(has_space or token["lstrip"] or token["rstrip"])

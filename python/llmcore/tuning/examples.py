"""From a file of chats to shifted, masked examples, with every drop counted and said."""

from collections.abc import Callable
from pathlib import Path

from llmcore.checkpoint.manager import print_warning
from llmcore.data import (
    Example,
    ExampleCounts,
    chat_example,
    encode_chat,
    fit_examples,
    read_conversations,
)
from llmcore.errors import DataError
from llmcore.tokenizers import Tokenizer


def load_examples(
    path: str | Path,
    tokenizer: Tokenizer,
    *,
    seq_len: int,
    overlong: str = "drop",
    warn: Callable[[str], None] = print_warning,
) -> tuple[list[Example], ExampleCounts]:
    """Read, encode and fit the chats of a JSONL file.

    Args:
        path: Rows of `{"messages": [...]}`.
        tokenizer: With the ChatML markers as special tokens.
        seq_len: Positions of a row.
        overlong: `drop`, `truncate` or `split`, as in `fit_examples`.
        warn: Told one line about chats that are too long, and one about chats without loss.

    Raises:
        DataError: the file is malformed, or no example carries loss.
    """
    chats = read_conversations(path)
    examples = [chat_example(encode_chat(tokenizer, messages)) for messages in chats]
    try:
        kept, counts = fit_examples(examples, seq_len=seq_len, overlong=overlong)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    total = len(chats)
    if counts.overlong:
        what = {"drop": "dropped", "truncate": "truncated", "split": "split"}[overlong]
        warn(f"{path}: {counts.overlong} of {total} chats exceed seq_len {seq_len}: {what}")
    if counts.untrained:
        warn(f"{path}: {counts.untrained} of {total} chats have no token to train on: dropped")
    return kept, counts

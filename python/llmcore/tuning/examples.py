"""From a file of chats to shifted, masked examples, with every drop counted and said."""

import logging
from pathlib import Path

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

_LOG = logging.getLogger(__name__)


def load_examples(
    path: str | Path, tokenizer: Tokenizer, *, seq_len: int, overlong: str = "drop"
) -> tuple[list[Example], ExampleCounts]:
    """Read, encode and fit the chats of a JSONL file.

    Args:
        path: Rows of `{"messages": [...]}`.
        tokenizer: With the ChatML markers as special tokens.
        seq_len: Positions of a row.
        overlong: `drop`, `truncate` or `split`, as in `fit_examples`.

    Raises:
        DataError: the file is malformed, or no example carries loss.
    """
    chats = read_conversations(path)
    examples = [chat_example(encode_chat(tokenizer, messages)) for messages in chats]
    try:
        kept, counts = fit_examples(examples, seq_len=seq_len, overlong=overlong)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    if counts.overlong:
        _LOG.warning(
            "%s: %d of %d chats are longer than seq_len %d (%s)",
            path,
            counts.overlong,
            len(chats),
            seq_len,
            overlong,
        )
    if counts.untrained:
        _LOG.warning(
            "%s: %d of %d chats have no token to train on and are dropped",
            path,
            counts.untrained,
            len(chats),
        )
    return kept, counts

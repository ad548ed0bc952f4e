"""From a file of preferences to pairs of shifted examples with loss on the answers only."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llmcore.checkpoint.manager import print_warning
from llmcore.data import (
    ChatTokens,
    Example,
    Message,
    PreferencePair,
    chat_example,
    encode_chat,
    read_preferences,
)
from llmcore.errors import DataError
from llmcore.tokenizers import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedPair:
    """Two examples with the same prompt; labels cover the answer and its closing marker."""

    chosen: Example
    rejected: Example


def encode_pair(tokenizer: Tokenizer, pair: PreferencePair) -> EncodedPair:
    """Encode both answers after their prompt; the prompt's own assistant turns carry no loss.

    Raises:
        DataError: the tokenizer has no ChatML markers.
    """
    prompt = encode_chat(tokenizer, pair.prompt, add_generation_prompt=True)
    return EncodedPair(
        chosen=_answer_example(tokenizer, pair.prompt, pair.chosen, len(prompt.ids)),
        rejected=_answer_example(tokenizer, pair.prompt, pair.rejected, len(prompt.ids)),
    )


def load_pairs(
    path: str | Path,
    tokenizer: Tokenizer,
    *,
    seq_len: int,
    warn: Callable[[str], None] = print_warning,
) -> list[EncodedPair]:
    """Read and encode the pairs of a JSONL file; drop, count and report those that are too long.

    A truncated answer would be scored on a text that nobody preferred, so a pair with an answer
    beyond `seq_len` is dropped as a whole.

    Args:
        path: Rows of `{"prompt": ..., "chosen": ..., "rejected": ...}`.
        tokenizer: With the ChatML markers as special tokens.
        seq_len: Positions of a row.
        warn: Told one line about pairs that are too long.

    Raises:
        DataError: the file is malformed, or no pair fits.
    """
    rows = read_preferences(path)
    pairs = [encode_pair(tokenizer, row) for row in rows]
    kept = [
        pair
        for pair in pairs
        if max(len(pair.chosen.input_ids), len(pair.rejected.input_ids)) <= seq_len
    ]
    if not kept:
        raise DataError(
            f"{path}: at least one pair must fit into seq_len {seq_len}, got {len(pairs)} longer"
        )
    if len(kept) < len(pairs):
        dropped = len(pairs) - len(kept)
        warn(f"{path}: {dropped} of {len(pairs)} pairs exceed seq_len {seq_len}: dropped")
    return kept


def _answer_example(
    tokenizer: Tokenizer,
    prompt: tuple[Message, ...],
    answer: tuple[Message, ...],
    prompt_len: int,
) -> Example:
    chat = encode_chat(tokenizer, (*prompt, *answer))
    loss_mask = [is_trained and i >= prompt_len for i, is_trained in enumerate(chat.loss_mask)]
    return chat_example(ChatTokens(ids=chat.ids, loss_mask=loss_mask))

"""Learn a byte-level BPE vocabulary from text."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from llmcore import _bindings
from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers.vocabulary import AddedToken, Vocabulary

Progress = Callable[[str, int, int], None]

_BATCH_CHARS = 1 << 23
_BYTE_VALUES = 256


def default_num_threads() -> int:
    """Number of processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def train_bpe(
    source: Iterable[str],
    *,
    vocab_size: int,
    special_tokens: Sequence[str] = (),
    min_frequency: int = 0,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> Vocabulary:
    """Merge the most frequent pair of neighbouring tokens until the vocabulary is full.

    Ids: the special tokens, the 256 bytes in the order of GPT-2's byte alphabet, then one id per
    merge. Among equal counts the pair with the smaller ids wins, so the result depends on the
    text alone, not on `num_threads`. No pair crosses a pre-token or two items of `source`.

    Args:
        source: Texts, read once and not kept; memory grows with the distinct pre-tokens only.
        vocab_size: Number of ids, or fewer if the text has no pair left to merge.
        special_tokens: Texts of ids 0, 1, ...; recognised when encoding, if allowed.
        min_frequency: Pairs seen less often than this are not merged.
        num_threads: Threads that count; None takes every processor of the process.
        progress: Called as `progress("count", characters_read, 0)` after each batch, then about
            ten times a second as `progress("merge", tokens, vocab_size)`.

    Raises:
        ConfigError: `vocab_size` is below 256 + the special tokens, or those repeat.
        DataError: `source` holds no text, or an item that is not valid text.

    Source: Sennrich et al. 2016, arXiv:1508.07909; ties as in Hugging Face `tokenizers` 0.23.
    """
    specials = list(special_tokens)
    _check_arguments(vocab_size, specials, min_frequency)
    counter = _bindings.WordCounter(num_threads or default_num_threads())
    num_chars = 0
    for batch, size in _batches(source):
        counter.count(batch)
        num_chars += size
        if progress is not None:
            progress("count", num_chars, 0)
    if num_chars == 0:
        raise DataError("train: source must hold text, got none")
    tokens, merges = _bindings.train_bpe(counter, vocab_size, min_frequency, specials, progress)
    if progress is not None:
        progress("merge", len(tokens), vocab_size)
    added = tuple(AddedToken(id=i, content=text) for i, text in enumerate(specials))
    return Vocabulary(tokens=tokens, merges=merges, added_tokens=added)


def _check_arguments(vocab_size: int, specials: list[str], min_frequency: int) -> None:
    least = _BYTE_VALUES + len(specials)
    if vocab_size < least:
        raise ConfigError(
            f"train: vocab_size must be at least {least} (256 bytes + {len(specials)} special "
            f"tokens), got {vocab_size}"
        )
    if len(set(specials)) != len(specials) or "" in specials:
        raise ConfigError(f"train: special_tokens must be distinct and not empty, got {specials}")
    if min_frequency < 0:
        raise ConfigError(f"train: min_frequency must be at least 0, got {min_frequency}")


def _batches(source: Iterable[str]) -> Iterator[tuple[list[str], int]]:
    """Lists of texts of about 8 million characters: work for threads, a bound on memory."""
    if isinstance(source, str | bytes):
        raise DataError(
            "train: source must be an iterable of texts, got one text; wrap it in a list"
        )
    batch: list[str] = []
    size = 0
    for text in source:
        if not isinstance(text, str | bytes):
            raise DataError(f"train: source must yield str, got {type(text).__name__}")
        batch.append(text)
        size += len(text)
        if size >= _BATCH_CHARS:
            yield batch, size
            batch, size = [], 0
    if batch:
        yield batch, size

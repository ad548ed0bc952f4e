"""How often each pre-token stands in a text: what training needs to know of it."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from llmcore import _bindings
from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers.components import Component, component_json, pre_tokenizer_json
from llmcore.tokenizers.sources import TextSource, batches
from llmcore.tokenizers.whole_file import replacing

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and how much there is (0: not known)."""


def default_num_threads() -> int:
    """Number of processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class WordCounts:
    """Counts of the distinct pre-tokens of a text, which may be counted in parts.

    Parts that were counted apart, on other machines say, and then merged give the same counts, and
    so the same tokenizer, as the whole text. Memory grows with the number of distinct pre-tokens
    only; the counts are 64-bit and do not depend on the number of threads. Not to be shared by
    threads while it changes.
    """

    is_temporary = False
    """Nobody needs the counts after the training that takes them."""

    def __init__(
        self,
        *,
        pattern: str | None = None,
        normalizer: Component | None = None,
        pre_tokenizer: Component | None = None,
        byte_level: bool = True,
        num_threads: int | None = None,
    ) -> None:
        """Begin with no text; by default it is split as GPT-2 does.

        Args:
            pattern: Split pattern: a known name ("gpt2", "cl100k_base", "o200k_base", "llama3",
                "qwen2", ...) or a regular expression.
            normalizer: What texts go through first: a component of `tokenizer.json` as a dict or
                as JSON, or the name of one without options ("NFC").
            pre_tokenizer: The same of what splits texts, instead of `pattern`.
            byte_level: For a byte-level vocabulary; the same as for training.
            num_threads: Threads that count; None takes every processor of the process.

        Raises:
            ConfigError: both `pattern` and `pre_tokenizer` are given, or `num_threads` < 1.
            DataError: a component does not exist.
        """
        threads = _checked_threads(num_threads)
        self._counter = _bindings.WordCounter.build(
            threads,
            component_json(normalizer),
            pre_tokenizer_json(pattern, pre_tokenizer, byte_level=byte_level),
        )

    @classmethod
    def of_components(
        cls, normalizer: str, pre_tokenizer: str, num_threads: int | None = None
    ) -> "WordCounts":
        """Counts under the components of a specification, both as JSON ("null" for none)."""
        counts = cls.__new__(cls)
        counts._counter = _bindings.WordCounter.build(
            _checked_threads(num_threads), normalizer, pre_tokenizer
        )
        return counts

    @classmethod
    def load(cls, path: str | os.PathLike[str], num_threads: int | None = None) -> "WordCounts":
        """Read counts that `save` wrote.

        Raises:
            DataError: missing, damaged (there is a checksum), or another kind of file.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise DataError(f"counts: {path} must be readable, got {error.strerror}") from error
        counts = cls.__new__(cls)
        counts._counter = _bindings.WordCounter.read(data, str(path), _checked_threads(num_threads))
        return counts

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the counts; the file appears whole or not at all. Equal counts, equal bytes.

        Raises:
            DataError: the file cannot be written.
        """
        file = Path(path)
        try:
            with replacing(file) as stream:
                stream.write(self._counter.write())
        except OSError as error:
            raise DataError(f"counts: cannot write {file}: {error.strerror}") from error
        return file

    def count(
        self,
        source: TextSource,
        *,
        text_field: str = "text",
        progress: Progress | None = None,
    ) -> "WordCounts":
        """Add the texts of `source`; returns itself.

        Args:
            source: As in `Tokenizer.train`.
            text_field: Field of JSONL rows, column of Parquet files.
            progress: Called as `progress("count", characters_read, 0)` after each million.

        Raises:
            DataError: `source` holds no text, or what is not text.
        """
        num_chars = 0
        cut = self._counter.last_safe_cut if self._counter.scans else None
        for batch, size in batches(source, text_field=text_field, last_safe_cut=cut):
            self._counter.count(batch)
            num_chars += size
            if progress is not None:
                progress("count", num_chars, 0)
        if num_chars == 0:
            raise DataError("train: source must hold text, got none")
        return self

    def merge(self, other: "WordCounts") -> "WordCounts":
        """Add the counts of another part; returns itself.

        Raises:
            ConfigError: the other part was split in another way, or is this very object.
        """
        for what in ("normalizer", "pre_tokenizer"):
            ours, theirs = getattr(self._counter, what), getattr(other._counter, what)
            if ours != theirs and json.loads(ours) != json.loads(theirs):
                raise ConfigError(f"merge: {what} must be {ours[:200]}, got {theirs[:200]}")
        self._counter.merge(other._counter)
        return self

    def items(self) -> dict[bytes, int]:
        """The pre-tokens, as the normaliser left them, and their counts."""
        return dict(self._counter.items())

    def __len__(self) -> int:
        """Number of distinct pre-tokens."""
        return self._counter.size

    @property
    def native(self) -> _bindings.WordCounter:
        """The counts as the compiled trainers take them."""
        return self._counter


def _checked_threads(num_threads: int | None) -> int:
    threads = default_num_threads() if num_threads is None else num_threads
    if not 1 <= threads <= 1024:
        raise ConfigError(f"train: num_threads must be from 1 to 1024, got {threads}")
    return threads

"""Bits per byte: compression of held-out text, comparable between tokenizers."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from llmcore.errors import ConfigError, DataError
from llmcore.losses import token_logprobs
from llmcore.models import Decoder
from llmcore.shapes import IGNORE_INDEX


@dataclass(frozen=True, kw_only=True, slots=True)
class TextScore:
    """Total information of a text under a model."""

    bits: float
    """Sum of -log2 p over all targets, each document's closing separator included."""
    num_tokens: int
    """Targets."""
    num_bytes: int
    """UTF-8 bytes of the documents."""

    @property
    def bits_per_byte(self) -> float:
        """`bits / num_bytes`."""
        return self.bits / self.num_bytes


@torch.no_grad()
def score_documents(
    model: Decoder,
    documents: Sequence[NDArray[np.int64]],
    *,
    num_bytes: int,
    seq_len: int,
    batch_size: int = 16,
) -> TextScore:
    """Score every token of every document once, given up to `seq_len` tokens before it.

    A long document is read in windows of `seq_len` inputs that overlap by half, and only what a
    window adds is counted: every target but the first ones has at least `seq_len // 2` of context.

    Args:
        model: Decoder.
        documents: Ids per document, separators at both ends; the first id is only context.
        num_bytes: UTF-8 bytes of all documents, without separators.
        seq_len: Window length in tokens, at most the model's `max_seq_len`.
        batch_size: Windows per forward pass.

    Raises:
        ConfigError: `seq_len` does not fit the model.
        DataError: nothing to score.
    """
    if not 2 <= seq_len <= model.config.max_seq_len:
        raise ConfigError(
            f"score_documents: seq_len must be 2 to max_seq_len = {model.config.max_seq_len}, "
            f"got {seq_len}"
        )
    if num_bytes < 1 or not any(len(document) > 1 for document in documents):
        raise DataError("score_documents: documents must hold text, got none")
    windows = sorted(
        (window for ids in documents for window in _windows(ids, seq_len)),
        key=lambda window: len(window[0]),
    )
    nats, num_tokens = 0.0, 0
    for start in range(0, len(windows), batch_size):
        inputs, labels = _pad(windows[start : start + batch_size])
        nats -= token_logprobs(model(inputs), labels).double().sum().item()
        num_tokens += int((labels != IGNORE_INDEX).sum())
    return TextScore(bits=nats / math.log(2), num_tokens=num_tokens, num_bytes=num_bytes)


Window = tuple[NDArray[np.int64], NDArray[np.int64]]


def _windows(ids: NDArray[np.int64], seq_len: int) -> Iterator[Window]:
    """Inputs and labels of each window; targets that an earlier window counted are ignored."""
    num_targets = len(ids) - 1
    counted = 0
    while counted < num_targets:
        end = min(num_targets, counted + (seq_len if counted == 0 else seq_len - seq_len // 2))
        start = max(0, end - seq_len)
        labels = ids[start + 1 : end + 1].copy()
        labels[: counted - start] = IGNORE_INDEX
        yield ids[start:end], labels
        counted = end


def _pad(windows: Sequence[Window]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(len(inputs) for inputs, _ in windows)
    inputs = torch.zeros(len(windows), longest, dtype=torch.int64)
    labels = torch.full((len(windows), longest), IGNORE_INDEX)
    for row, (window_inputs, window_labels) in enumerate(windows):
        inputs[row, : len(window_inputs)] = torch.from_numpy(window_inputs)
        labels[row, : len(window_labels)] = torch.from_numpy(window_labels)
    return inputs, labels

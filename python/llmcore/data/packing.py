"""Rows that hold several documents, and the arrays that keep the documents apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from jaxtyping import Int32, Int64
from torch import Tensor

from llmcore.errors import DataError
from llmcore.shapes import IGNORE_INDEX

PADDING_SEGMENT: Final = -1
"""Segment id of padding positions."""


@dataclass(frozen=True, kw_only=True)
class PackedBatch:
    """Rows of packed documents: one micro-batch of pre-training or instruction tuning.

    Labels are already shifted: `labels[b, t]` is the token that follows `input_ids[b, t]` in its
    own document, or IGNORE_INDEX where no loss is taken.
    """

    input_ids: Int64[Tensor, "B T"]
    """Tokens."""
    labels: Int64[Tensor, "B T"]
    """Target of each position, or IGNORE_INDEX."""
    positions: Int64[Tensor, "B T"]
    """Index inside the segment; starts again at 0 with every segment."""
    segment_ids: Int32[Tensor, "B T"]
    """Which document of the row; attention stays inside equal ids. -1 is padding."""

    def __post_init__(self) -> None:
        shape = self.input_ids.shape
        for name in ("labels", "positions", "segment_ids"):
            got = getattr(self, name).shape
            if got != shape:
                raise DataError(
                    f"PackedBatch: {name} must be (B, T) = {tuple(shape)}, got {tuple(got)}"
                )

    @cached_property
    def num_tokens(self) -> int:
        """Positions that are not padding."""
        return int((self.segment_ids != PADDING_SEGMENT).sum())

    @cached_property
    def num_trained_tokens(self) -> int:
        """Positions that carry loss."""
        return int((self.labels != IGNORE_INDEX).sum())

    @cached_property
    def attention_segment_ids(self) -> Int32[Tensor, "B T"] | None:
        """`segment_ids` for the model, or None where every row is one segment and causal is enough.

        Padding at the end of a row counts as part of the one segment: no token looks at it and it
        carries no loss.
        """
        first = self.segment_ids[:, :1]
        is_same = (self.segment_ids == first) | (self.segment_ids == PADDING_SEGMENT)
        is_padding_last = bool((self.segment_ids[:, 1:] <= self.segment_ids[:, :-1]).all())
        return None if bool(is_same.all()) and is_padding_last else self.segment_ids

    def to(self, device: torch.device | str) -> "PackedBatch":
        """The same batch on another device."""
        return PackedBatch(
            input_ids=self.input_ids.to(device),
            labels=self.labels.to(device),
            positions=self.positions.to(device),
            segment_ids=self.segment_ids.to(device),
        )


def concatenate_rows(batches: Sequence[PackedBatch]) -> PackedBatch:
    """One batch with the rows of all.

    Args:
        batches: At least one; rows of equal length.
    """
    return PackedBatch(
        input_ids=torch.cat([batch.input_ids for batch in batches]),
        labels=torch.cat([batch.labels for batch in batches]),
        positions=torch.cat([batch.positions for batch in batches]),
        segment_ids=torch.cat([batch.segment_ids for batch in batches]),
    )

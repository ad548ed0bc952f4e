"""Pack chats into rows of fixed length without contamination."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import torch

from llmcore.data.chat import ChatTokens
from llmcore.data.packing import PADDING_SEGMENT, PackedBatch
from llmcore.errors import ConfigError, DataError
from llmcore.shapes import IGNORE_INDEX

OVERLONG_POLICIES: Final = ("drop", "truncate", "split")
_Token = TypeVar("_Token")


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One training sequence: what goes in and what should come out."""

    input_ids: list[int]
    labels: list[int]
    """Already shifted: labels[t] is the target at t, or IGNORE_INDEX. Same length as the input."""

    @property
    def num_trained_tokens(self) -> int:
        """Positions that carry loss."""
        return sum(label != IGNORE_INDEX for label in self.labels)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExampleCounts:
    """What became of the chats of a data file."""

    kept: int
    overlong: int
    """Longer than the row: dropped, truncated or split, as the policy says."""
    untrained: int
    """Dropped because no token carries loss (after truncation)."""


def chat_example(chat: ChatTokens) -> Example:
    """Shift a chat by one token; cut what follows the last trained token, which nothing reads."""
    masked = [
        token if trained else IGNORE_INDEX
        for token, trained in zip(chat.ids[1:], chat.loss_mask[1:], strict=True)
    ]
    while masked and masked[-1] == IGNORE_INDEX:
        masked.pop()
    return Example(input_ids=chat.ids[: len(masked)], labels=masked)


def fit_examples(
    examples: Sequence[Example], *, seq_len: int, overlong: str = "drop"
) -> tuple[list[Example], ExampleCounts]:
    """Make every example fit into `seq_len` positions and carry loss; count what did not.

    Args:
        examples: Shifted examples, any length.
        seq_len: Positions of a row.
        overlong: `drop` leaves a longer example out, `truncate` keeps its first `seq_len`
            positions, `split` cuts it into pieces (the later ones do not see the earlier).

    Raises:
        ConfigError: an unknown policy.
        DataError: nothing is left to train on.
    """
    if overlong not in OVERLONG_POLICIES:
        raise ConfigError(
            f"overlong: must be one of {', '.join(OVERLONG_POLICIES)}, got {overlong!r}"
        )
    kept: list[Example] = []
    num_overlong = num_untrained = 0
    for example in examples:
        pieces = [example]
        if len(example.input_ids) > seq_len:
            num_overlong += 1
            pieces = _cut(example, seq_len, overlong)
        trained = [piece for piece in pieces if piece.num_trained_tokens > 0]
        num_untrained += bool(pieces) and not trained
        kept.extend(trained)
    counts = ExampleCounts(kept=len(kept), overlong=num_overlong, untrained=num_untrained)
    if not kept:
        raise DataError(
            f"examples: at least one must have a trained token within seq_len {seq_len}, got "
            f"{num_overlong} longer than that and {num_untrained} without an assistant token"
        )
    return kept, counts


def cut_sequences(
    sequences: Sequence[Sequence[_Token]], *, capacity: int, split: bool
) -> list[list[_Token]]:
    """Cut sequences to at most `capacity` items; with `split` the rest becomes new sequences."""
    pieces = []
    for sequence in sequences:
        last = len(sequence) if split else min(len(sequence), capacity)
        pieces += [list(sequence[i : i + capacity]) for i in range(0, last, capacity)]
    return pieces


def best_fit_decreasing(lengths: Sequence[int], *, capacity: int) -> list[list[int]]:
    """Pack items into as few bins as best-fit-decreasing finds.

    Longest first (ties: lowest index), each into the fullest bin with room (ties: oldest bin).
    Uses at most 11/9 of the optimum plus one bin.

    Args:
        lengths: Size of each item; empty items are left out.
        capacity: Size of a bin.

    Returns:
        Item indices per bin, bins in the order they were opened.

    Raises:
        DataError: an item is larger than a bin.

    Source: Johnson 1974, "Fast algorithms for bin packing"; Ding et al. 2024, arXiv:2404.10830.
    """
    bins: list[list[int]] = []
    open_bins: dict[int, deque[int]] = {}
    rooms: list[int] = []  # sorted keys of open_bins
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        length = lengths[index]
        if length == 0:
            continue
        if length > capacity:
            raise DataError(f"lengths[{index}] must be at most {capacity}, got {length}")
        at = bisect_left(rooms, length)
        if at == len(rooms):
            room, chosen = capacity, len(bins)
            bins.append([])
        else:
            room = rooms[at]
            chosen = open_bins[room].popleft()
            if not open_bins[room]:
                del open_bins[room]
                rooms.pop(at)
        bins[chosen].append(index)
        rest = room - length
        if rest not in open_bins:
            open_bins[rest] = deque()
            insort(rooms, rest)
        insort(open_bins[rest], chosen)
    return bins


def packed_batch(rows: Sequence[Sequence[Example]], *, seq_len: int) -> PackedBatch:
    """Lay out rows of examples as tensors: one segment per example, positions from 0 in each.

    The tensors are as wide as the fullest row. Padding has token 0, label IGNORE_INDEX, position
    0 and segment -1.

    Raises:
        DataError: a row holds more than `seq_len` positions.
    """
    widths = [sum(len(example.input_ids) for example in row) for row in rows]
    for r, width in enumerate(widths):
        if width > seq_len:
            raise DataError(f"rows[{r}]: must hold at most {seq_len} positions, got {width}")
    shape = (len(rows), max(widths))
    input_ids = torch.zeros(shape, dtype=torch.int64)
    labels = torch.full(shape, IGNORE_INDEX, dtype=torch.int64)
    positions = torch.zeros(shape, dtype=torch.int64)
    segment_ids = torch.full(shape, PADDING_SEGMENT, dtype=torch.int32)
    for r, row in enumerate(rows):
        start = 0
        for segment, example in enumerate(row):
            end = start + len(example.input_ids)
            input_ids[r, start:end] = torch.tensor(example.input_ids)
            labels[r, start:end] = torch.tensor(example.labels)
            positions[r, start:end] = torch.arange(end - start)
            segment_ids[r, start:end] = segment
            start = end
    return PackedBatch(
        input_ids=input_ids, labels=labels, positions=positions, segment_ids=segment_ids
    )


def _cut(example: Example, seq_len: int, overlong: str) -> list[Example]:
    if overlong == "drop":
        return []
    split = overlong == "split"
    inputs = cut_sequences([example.input_ids], capacity=seq_len, split=split)
    labels = cut_sequences([example.labels], capacity=seq_len, split=split)
    return [Example(input_ids=i, labels=t) for i, t in zip(inputs, labels, strict=True)]

"""Best-fit-decreasing packing against golden rows, and the layout of packed tensors."""

import pytest
import torch

from llmcore.data import (
    ChatTokens,
    Example,
    best_fit_decreasing,
    chat_example,
    fit_examples,
    packed_batch,
)
from llmcore.data.sft_packing import cut_sequences
from llmcore.errors import ConfigError, DataError
from llmcore.shapes import IGNORE_INDEX

OVERLONG = [[1, 2, 3, 4, 5], [6, 7], [8, 9, 10, 11], [12]]


def _pack(sequences: list[list[int]], capacity: int) -> list[list[int]]:
    bins = best_fit_decreasing([len(s) for s in sequences], capacity=capacity)
    return [[token for i in chosen for token in sequences[i]] for chosen in bins]


@pytest.mark.golden
def test_golden_best_fit_decreasing() -> None:
    assert _pack([[1, 2, 3], [4, 5, 6, 7], [8]], 4) == [[4, 5, 6, 7], [1, 2, 3, 8]]


@pytest.mark.golden
@pytest.mark.parametrize(
    ("sequences", "capacity", "split", "expected"),
    [
        (OVERLONG, 4, False, [[1, 2, 3, 4], [8, 9, 10, 11], [6, 7, 12]]),
        (OVERLONG, 4, True, [[1, 2, 3, 4], [8, 9, 10, 11], [6, 7, 5, 12]]),
        (
            [[1, 2, 3, 4, 5], [6], [7, 8, 9, 10], [11, 12, 13]],
            5,
            True,
            [[1, 2, 3, 4, 5], [7, 8, 9, 10, 6], [11, 12, 13]],
        ),
    ],
)
def test_golden_overlong(
    sequences: list[list[int]], capacity: int, split: bool, expected: list[list[int]]
) -> None:
    assert _pack(cut_sequences(sequences, capacity=capacity, split=split), capacity) == expected


def test_every_item_is_packed_once_and_no_bin_overflows() -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(0, 65, (500,), generator=generator).tolist()
    bins = best_fit_decreasing(lengths, capacity=64)
    packed = sorted(i for chosen in bins for i in chosen)
    assert packed == [i for i, length in enumerate(lengths) if length > 0]
    assert max(sum(lengths[i] for i in chosen) for chosen in bins) <= 64
    lower_bound = -(-sum(lengths) // 64)
    assert len(bins) <= 11 * lower_bound / 9 + 1


def test_item_larger_than_a_bin_is_refused() -> None:
    with pytest.raises(DataError, match=r"lengths\[1\] must be at most 4, got 5"):
        best_fit_decreasing([1, 5], capacity=4)


def test_chat_example_shifts_and_cuts_the_untrained_tail() -> None:
    mask = [False, False, True, True, False, False]
    example = chat_example(ChatTokens(ids=[5, 6, 7, 8, 9, 4], loss_mask=mask))
    assert example == Example(input_ids=[5, 6, 7], labels=[IGNORE_INDEX, 7, 8])


def test_first_token_never_carries_loss() -> None:
    example = chat_example(ChatTokens(ids=[5, 6], loss_mask=[True, False]))
    assert example == Example(input_ids=[], labels=[])


@pytest.mark.golden
def test_golden_padding_free_layout() -> None:
    # The unshifted labels [-100, 2, 3, -100, 5] of two documents [1, 2, 3] and [4, 5].
    row = [
        Example(input_ids=[1, 2, 3], labels=[2, 3, IGNORE_INDEX]),
        Example(input_ids=[4, 5], labels=[5, IGNORE_INDEX]),
    ]
    batch = packed_batch([row], seq_len=8)
    assert batch.input_ids.tolist() == [[1, 2, 3, 4, 5]]
    assert batch.positions.tolist() == [[0, 1, 2, 0, 1]]
    assert batch.labels.tolist() == [[2, 3, IGNORE_INDEX, 5, IGNORE_INDEX]]
    assert batch.segment_ids.tolist() == [[0, 0, 0, 1, 1]]


def test_short_rows_are_padded_without_loss() -> None:
    short, long = Example(input_ids=[9], labels=[3]), Example(input_ids=[1, 2], labels=[2, 3])
    batch = packed_batch([[short], [long]], seq_len=4)
    assert batch.input_ids.tolist() == [[9, 0], [1, 2]]
    assert batch.labels.tolist() == [[3, IGNORE_INDEX], [2, 3]]
    assert batch.segment_ids.tolist() == [[0, -1], [0, 0]]
    assert (batch.num_tokens, batch.num_trained_tokens) == (3, 3)


def test_overfull_row_is_refused() -> None:
    long = Example(input_ids=[1, 2], labels=[2, 3])
    with pytest.raises(DataError, match=r"rows\[1\]: must hold at most 3 positions, got 4"):
        packed_batch([[long], [long, long]], seq_len=3)


FITS = Example(input_ids=[1, 2], labels=[IGNORE_INDEX, 3])
LONG = Example(input_ids=[1, 2, 3, 4, 5], labels=[IGNORE_INDEX] * 3 + [5, 6])
UNTRAINED = Example(input_ids=[], labels=[])


@pytest.mark.parametrize(
    ("overlong", "kept", "num_untrained"),
    [
        ("drop", [FITS], 1),
        ("truncate", [FITS], 2),
        ("split", [FITS, Example(input_ids=[4, 5], labels=[5, 6])], 1),
    ],
)
def test_overlong_and_untrained_examples_are_counted(
    overlong: str, kept: list[Example], num_untrained: int
) -> None:
    got, counts = fit_examples([FITS, LONG, UNTRAINED], seq_len=3, overlong=overlong)
    assert got == kept
    assert (counts.kept, counts.overlong, counts.untrained) == (len(kept), 1, num_untrained)


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(DataError, match="1 longer than that and 1 without an assistant token"):
        fit_examples([LONG, UNTRAINED], seq_len=3)


def test_unknown_policy_is_refused() -> None:
    with pytest.raises(ConfigError, match="overlong: must be one of drop, truncate, split"):
        fit_examples([FITS], seq_len=3, overlong="crop")

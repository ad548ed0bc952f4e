"""The document mask: built where it is needed, and only there."""

import pytest
import torch

from llmcore.nn import document_mask


@pytest.mark.parametrize(
    "rows",
    [
        [[0, 0, 0], [5, 5, 5]],
        [[0, 0, -1], [1, 1, 1], [3, -1, -1]],
    ],
)
def test_one_segment_then_padding_needs_no_mask(rows: list[list[int]]) -> None:
    assert document_mask(torch.tensor(rows, dtype=torch.int32)) is None


@pytest.mark.parametrize("row", [[0, 0, 1], [-1, 0, 0], [0, -1, 0], [0, 1, -1], [-1, -1, -1]])
def test_other_rows_keep_equal_segments(row: list[int]) -> None:
    mask = document_mask(torch.tensor([[0, 0, 0], row], dtype=torch.int32))
    assert mask is not None
    assert mask[0].all()
    expected = [[a == b for b in row] for a in row]
    assert mask[1].tolist() == expected

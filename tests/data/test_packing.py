"""What a packed batch counts, and when plain causal attention is enough."""

import jaxtyping
import pytest
import torch

from llmcore.data import PADDING_SEGMENT, PackedBatch, concatenate_rows
from llmcore.errors import DataError
from llmcore.shapes import IGNORE_INDEX


def batch(segments: list[list[int]], labels: list[list[int]] | None = None) -> PackedBatch:
    segment_ids = torch.tensor(segments, dtype=torch.int32)
    filled = torch.ones_like(segment_ids, dtype=torch.int64)
    return PackedBatch(
        input_ids=filled,
        labels=filled if labels is None else torch.tensor(labels),
        positions=filled,
        segment_ids=segment_ids,
    )


def test_padding_and_ignored_labels_do_not_count():
    packed = batch([[0, 0, 1, PADDING_SEGMENT]], [[5, IGNORE_INDEX, 7, IGNORE_INDEX]])
    assert (packed.num_tokens, packed.num_trained_tokens) == (3, 2)


@pytest.mark.parametrize(
    ("segments", "is_plain"),
    [
        ([[0, 0, 0], [4, 4, 4]], True),
        ([[0, 0, -1], [0, -1, -1]], True),
        ([[0, 0, 1]], False),
        ([[0, 0, 0], [0, 1, 1]], False),
        ([[-1, 0, 0]], False),
        ([[0, -1, 0]], False),
    ],
)
def test_one_segment_per_row_needs_no_mask(segments: list[list[int]], is_plain: bool):
    assert (batch(segments).attention_segment_ids is None) is is_plain


def test_rows_are_stacked_in_order():
    both = concatenate_rows([batch([[0, 0]]), batch([[0, 1]])])
    assert both.segment_ids.tolist() == [[0, 0], [0, 1]]
    assert both.to("cpu").num_tokens == 4


def test_arrays_of_unequal_shape_are_refused(monkeypatch: pytest.MonkeyPatch):
    # The tests' own annotation checks would refuse the call before the library can.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    good = batch([[0, 0]])
    with pytest.raises(DataError, match=r"labels must be \(B, T\) = \(1, 2\), got \(1, 1\)"):
        PackedBatch(
            input_ids=good.input_ids,
            labels=good.labels[:, :1],
            positions=good.positions,
            segment_ids=good.segment_ids,
        )

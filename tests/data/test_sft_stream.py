"""The stream of packed chats: coverage, shuffling, accumulation, exact resume."""

import itertools

import pytest
import torch

from llmcore.data import Example, PackedBatch, SFTStream, epoch_order
from llmcore.errors import CheckpointError, ConfigError, DataError


def _examples(count: int = 23) -> list[Example]:
    # Example k holds only the token k + 1, so a batch tells which examples it holds.
    sizes = [1 + k % 5 for k in range(count)]
    return [Example(input_ids=[k + 1] * n, labels=[k] * n) for k, n in enumerate(sizes)]


def _stream(examples: list[Example] | None = None, **changes: int) -> SFTStream:
    settings = {"seq_len": 8, "rows_per_batch": 2, "micro_batches": 1, "seed": 7} | changes
    return SFTStream(_examples() if examples is None else examples, **settings)


def _same(a: list[PackedBatch], b: list[PackedBatch]) -> bool:
    names = ("input_ids", "labels", "positions", "segment_ids")
    return len(a) == len(b) and all(
        torch.equal(getattr(x, name), getattr(y, name))
        for x, y in zip(a, b, strict=True)
        for name in names
    )


def test_an_epoch_holds_every_example_once() -> None:
    stream = _stream(rows_per_batch=1)
    counts = torch.zeros(24, dtype=torch.int64)
    for _ in range(stream.num_rows):
        (batch,) = next(stream)
        real = batch.input_ids[batch.segment_ids >= 0]
        counts += torch.bincount(real, minlength=24)
    assert counts[1:].tolist() == [1 + k % 5 for k in range(23)]
    assert stream.epoch == 1.0


def test_segments_never_mix_examples() -> None:
    for (batch,) in itertools.islice(_stream(), 20):
        for row in range(len(batch.input_ids)):
            for segment in range(int(batch.segment_ids[row].max()) + 1):
                inside = batch.segment_ids[row] == segment
                assert len(batch.input_ids[row][inside].unique()) == 1
                assert batch.positions[row][inside].tolist() == list(range(int(inside.sum())))


def test_micro_batches_split_the_same_rows() -> None:
    whole = next(_stream(rows_per_batch=8))
    parts = next(_stream(rows_per_batch=8, micro_batches=8))
    assert (len(whole), len(parts)) == (1, 8)
    real = [batch.input_ids[batch.segment_ids >= 0] for batch in parts]
    assert torch.equal(torch.cat(real), whole[0].input_ids[whole[0].segment_ids >= 0])


@pytest.mark.parametrize("steps", [0, 1, 4, 13])
def test_resumed_stream_equals_the_uninterrupted_one(steps: int) -> None:
    straight = _stream()
    for _ in range(steps):
        next(straight)
    resumed = _stream()
    resumed.load_state_dict(straight.state_dict())
    assert all(_same(next(straight), next(resumed)) for _ in range(12))


def test_epochs_and_seeds_give_different_orders() -> None:
    orders = [epoch_order(50, seed=s, epoch=e) for s, e in [(0, 0), (0, 1), (1, 0), (1, 1)]]
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert epoch_order(50, seed=1, epoch=1) == orders[3]


def test_state_of_other_data_or_seed_is_refused() -> None:
    state = _stream().state_dict()
    for other in (_stream(_examples(22)), _stream(seed=8), _stream(seq_len=9)):
        with pytest.raises(CheckpointError, match="data stream: must be the one of the checkpoint"):
            other.load_state_dict(state)


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(DataError, match="at least one example"):
        _stream([])
    with pytest.raises(ConfigError, match="multiple of micro_batches = 3, got 4"):
        _stream(rows_per_batch=4, micro_batches=3)

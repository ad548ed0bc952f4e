"""Batches of pairs: who owns which token, coverage, exact resume."""

from collections import Counter

import pytest
import torch

from llmcore.alignment import EncodedPair, PairStream, encode_pair, pair_batch
from llmcore.errors import CheckpointError, DataError
from llmcore.shapes import IGNORE_INDEX
from tests.support.tiny_chat import preferences, tiny_tokenizer


@pytest.fixture(scope="module")
def pairs() -> list[EncodedPair]:
    tokenizer = tiny_tokenizer()
    return [encode_pair(tokenizer, pair) for pair in preferences(7)]


def _stream(pairs: list[EncodedPair], *, micro_batches: int = 1, seed: int = 3) -> PairStream:
    return PairStream(pairs, seq_len=96, rows_per_batch=4, micro_batches=micro_batches, seed=seed)


def test_labels_of_each_sequence_come_back_in_order(pairs: list[EncodedPair]) -> None:
    indices = [5, 0, 3]
    batch = pair_batch(pairs, indices, seq_len=96)
    labels = batch.packed.labels.flatten()[batch.token_idx]
    sequences = [pairs[i].chosen for i in indices] + [pairs[i].rejected for i in indices]
    for k, example in enumerate(sequences):
        expected = [label for label in example.labels if label != IGNORE_INDEX]
        assert labels[batch.sequence_idx == k].tolist() == expected
    assert batch.pair_idx.tolist() == indices
    assert batch.num_pairs == 3
    assert batch.num_chosen_tokens == sum(pairs[i].chosen.num_trained_tokens for i in indices)
    assert batch.num_tokens == sum(len(example.input_ids) for example in sequences)


def test_packing_wastes_less_than_padding(pairs: list[EncodedPair]) -> None:
    batch = pair_batch(pairs, range(7), seq_len=96)
    sequences = [s for pair in pairs for s in (pair.chosen, pair.rejected)]
    padded = len(sequences) * max(len(s.input_ids) for s in sequences)
    assert batch.packed.input_ids.numel() < padded


def test_two_epochs_hold_every_pair_twice(pairs: list[EncodedPair]) -> None:
    stream = PairStream(pairs, seq_len=96, rows_per_batch=2, micro_batches=1, seed=0)
    counts = Counter(int(i) for _ in range(7) for batch in next(stream) for i in batch.pair_idx)
    assert counts == dict.fromkeys(range(7), 2)


def test_micro_batches_split_the_same_pairs(pairs: list[EncodedPair]) -> None:
    (whole,) = next(_stream(pairs))
    parts = next(_stream(pairs, micro_batches=4))
    assert torch.cat([batch.pair_idx for batch in parts]).tolist() == whole.pair_idx.tolist()


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_resumed_stream_equals_the_uninterrupted_one(pairs: list[EncodedPair], steps: int) -> None:
    straight = _stream(pairs)
    for _ in range(steps):
        next(straight)
    resumed = _stream(pairs)
    resumed.load_state_dict(straight.state_dict())
    for _ in range(6):
        (a,), (b,) = next(straight), next(resumed)
        assert torch.equal(a.packed.input_ids, b.packed.input_ids)
        assert torch.equal(a.pair_idx, b.pair_idx)


def test_state_of_other_data_or_seed_is_refused(pairs: list[EncodedPair]) -> None:
    state = _stream(pairs).state_dict()
    for other in (_stream(pairs[1:]), _stream(pairs, seed=4)):
        with pytest.raises(CheckpointError, match="pair stream: must be the one of the checkpoint"):
            other.load_state_dict(state)


def test_no_pairs_are_refused() -> None:
    with pytest.raises(DataError, match="at least one pair"):
        _stream([])

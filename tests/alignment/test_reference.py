"""Reference log-probabilities: each pair's own sums, independent of packing, without gradient."""

import pytest
import torch

from llmcore.alignment import EncodedPair, encode_pair, reference_logprobs
from llmcore.data import Example
from llmcore.losses import sequence_logprobs
from llmcore.models import Decoder
from tests.support.tiny_chat import preferences, tiny_decoder, tiny_tokenizer


@pytest.fixture(scope="module")
def pairs() -> list[EncodedPair]:
    tokenizer = tiny_tokenizer()
    return [encode_pair(tokenizer, pair) for pair in preferences(5)]


def _alone(model: Decoder, example: Example) -> float:
    with torch.no_grad():
        logits = model(torch.tensor([example.input_ids]))
        return sequence_logprobs(logits, torch.tensor([example.labels])).item()


def test_equals_each_sequence_alone(pairs: list[EncodedPair]) -> None:
    model = tiny_decoder()
    got = reference_logprobs(model, pairs, seq_len=128, pairs_per_batch=2)
    assert got.chosen.tolist() == pytest.approx([_alone(model, p.chosen) for p in pairs], abs=1e-4)
    assert got.rejected.tolist() == pytest.approx(
        [_alone(model, p.rejected) for p in pairs], abs=1e-4
    )


def test_carries_no_gradient(pairs: list[EncodedPair]) -> None:
    got = reference_logprobs(tiny_decoder(), pairs, seq_len=128)
    assert not got.chosen.requires_grad and not got.rejected.requires_grad

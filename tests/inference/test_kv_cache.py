"""The cache's own bookkeeping; that decoding with it is right stands in tests/models."""

import pytest
import torch
from torch import Tensor

from llmcore.errors import ShapeError
from llmcore.inference import KVCache
from llmcore.models import DecoderConfig
from llmcore.nn import AttentionCache

CONFIG = DecoderConfig(
    vocab_size=10,
    hidden_size=12,
    intermediate_size=8,
    num_layers=2,
    num_heads=3,
    num_kv_heads=1,
    head_dim=4,
    max_seq_len=16,
)


def heads(*values: float, num_tokens: int = 1) -> Tensor:
    """One constant (T, 1, 4) block per row."""
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, num_tokens, 1, 4).contiguous()


def test_has_the_protocol() -> None:
    assert isinstance(KVCache(CONFIG, batch_size=1, capacity=1), AttentionCache)


@pytest.mark.golden
def test_bytes_are_those_of_the_formula() -> None:
    cache = KVCache(CONFIG, batch_size=3, capacity=5, dtype=torch.bfloat16)
    assert cache.num_bytes() == 3 * 5 * CONFIG.kv_bytes_per_token(2) == 3 * 5 * 32


def test_layers_extend_then_advance_together() -> None:
    cache = KVCache(CONFIG, batch_size=2, capacity=3)
    for layer_idx in range(2):
        keys, values = cache.extend(layer_idx, heads(1.0, 2.0), heads(3.0, 4.0))
        assert keys[:, :, 0, 0].tolist() == [[1.0], [2.0]]
        assert values[:, :, 0, 0].tolist() == [[3.0], [4.0]]
    cache.advance(1)
    keys, _ = cache.extend(1, heads(5.0, 6.0, num_tokens=2), heads(0.0, 0.0, num_tokens=2))
    assert keys[:, :, 0, 0].tolist() == [[1.0, 5.0, 5.0], [2.0, 6.0, 6.0]]
    assert cache.num_positions == 1


def test_padding_is_masked_and_not_counted() -> None:
    cache = KVCache(CONFIG, batch_size=2, capacity=4, num_padding=torch.tensor([0, 2]))
    assert cache.positions(3).tolist() == [[0, 1, 2], [0, 0, 0]]
    mask = cache.keep_mask(3)
    assert mask is not None
    assert mask[1].tolist() == [[False, False, True]] * 3
    cache.advance(3)
    assert cache.positions(1).tolist() == [[3], [1]]
    mask = cache.keep_mask(1)
    assert mask is not None
    assert mask.tolist() == [[[True] * 4], [[False, False, True, True]]]
    assert cache.num_positions == 3
    cache.keep_rows(torch.tensor([1]))
    assert cache.num_positions == 1


def test_without_padding_there_is_no_mask() -> None:
    cache = KVCache(CONFIG, batch_size=2, capacity=4)
    cache.advance(2)
    assert cache.keep_mask(1) is None
    assert cache.positions(2).tolist() == [2, 3]


def test_rows_can_be_dropped() -> None:
    cache = KVCache(CONFIG, batch_size=3, capacity=2, num_padding=torch.tensor([0, 1, 0]))
    for layer_idx in range(2):
        cache.extend(layer_idx, heads(1.0, 2.0, 3.0), heads(1.0, 2.0, 3.0))
    cache.advance(1)
    cache.keep_rows(torch.tensor([2, 1]))
    keys, _ = cache.extend(1, heads(8.0, 9.0), heads(0.0, 0.0))
    assert cache.batch_size == 2
    assert keys[:, :, 0, 0].tolist() == [[3.0, 8.0], [2.0, 9.0]]
    assert cache.positions(1).tolist() == [[1], [0]]


def test_overflow_and_wrong_rows_are_refused() -> None:
    cache = KVCache(CONFIG, batch_size=2, capacity=2)
    with pytest.raises(ShapeError, match="got 2 rows ending at slot 3"):
        cache.extend(0, heads(1.0, 2.0, num_tokens=3), heads(1.0, 2.0, num_tokens=3))
    with pytest.raises(ShapeError, match="got 1 rows"):
        cache.extend(0, heads(1.0), heads(1.0))

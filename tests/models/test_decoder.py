"""The decoder: isolation of documents, cache, initialisation, refusals."""

import dataclasses

import pytest
import torch
from torch import Tensor

from llmcore.errors import ShapeError
from llmcore.inference import KVCache
from llmcore.models import Decoder, DecoderConfig

CONFIG = DecoderConfig(
    vocab_size=61,
    hidden_size=32,
    intermediate_size=56,
    num_layers=3,
    num_heads=4,
    num_kv_heads=2,
    head_dim=8,
    max_seq_len=48,
    init_std=0.2,
)


@pytest.fixture
def model() -> Decoder:
    return Decoder(CONFIG, generator=torch.Generator().manual_seed(0))


def random_ids(*shape: int) -> Tensor:
    return torch.randint(61, shape, generator=torch.Generator().manual_seed(1))


def packed_row(lengths: list[int], width: int) -> tuple[Tensor, Tensor]:
    """Positions and segment ids of documents laid end to end, padded to `width`."""
    segments = [idx for idx, length in enumerate(lengths) for _ in range(length)]
    positions = [p for length in lengths for p in range(length)]
    padding = width - len(segments)
    return (
        torch.tensor([positions + [0] * padding]),
        torch.tensor([segments + [-1] * padding], dtype=torch.int32),
    )


@pytest.mark.parametrize("lengths", [[7, 12, 1, 9], [29], [1, 28]])
def test_a_packed_document_is_computed_as_alone(model: Decoder, lengths: list[int]) -> None:
    ids = random_ids(1, 32)
    positions, segments = packed_row(lengths, 32)
    packed = model(ids, positions=positions, segment_ids=segments)
    start = 0
    for length in lengths:
        alone = model(ids[:, start : start + length])
        torch.testing.assert_close(packed[:, start : start + length], alone, rtol=1e-5, atol=1e-5)
        start += length


def test_packed_gradients_are_the_sum_of_the_documents(model: Decoder) -> None:
    lengths, ids = [7, 12, 9], random_ids(1, 32)
    positions, segments = packed_row(lengths, 32)
    weights = torch.randn(28, 61, generator=torch.Generator().manual_seed(2))
    out = model(ids, positions=positions, segment_ids=segments)
    (out[0, :28] * weights).sum().backward()
    packed = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    model.zero_grad()
    start = 0
    for length in lengths:
        stop = start + length
        (model(ids[:, start:stop])[0] * weights[start:stop]).sum().backward()
        start = stop
    assert len(packed) == len(list(model.parameters()))
    for got, weight in zip(packed, model.parameters(), strict=True):
        torch.testing.assert_close(got, weight.grad, rtol=1e-4, atol=1e-4)


def test_a_document_does_not_see_its_neighbours(model: Decoder) -> None:
    ids = random_ids(1, 20)
    positions, segments = packed_row([8, 12], 20)
    before = model(ids, positions=positions, segment_ids=segments)
    changed = ids.clone()
    changed[0, :8] = (changed[0, :8] + 1) % 61
    after = model(changed, positions=positions, segment_ids=segments)
    assert torch.equal(before[:, 8:], after[:, 8:])
    assert not torch.equal(before[:, :8], after[:, :8])


def test_left_padding_is_invisible(model: Decoder) -> None:
    ids = random_ids(1, 10)
    padded = torch.cat([torch.zeros(1, 4, dtype=torch.int64), ids], dim=1)
    segments = torch.tensor([[-1] * 4 + [0] * 10], dtype=torch.int32)
    positions = torch.tensor([[0] * 4 + list(range(10))])
    got = model(padded, positions=positions, segment_ids=segments)
    assert got.isfinite().all()
    torch.testing.assert_close(got[:, 4:], model(ids), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("chunks", [[20], [1] * 20, [13, 1, 6]])
def test_cached_forward_equals_the_full_one(model: Decoder, chunks: list[int]) -> None:
    ids = random_ids(3, 20)
    cache = KVCache(CONFIG, batch_size=3, capacity=20)
    parts = [model(part, cache=cache) for part in ids.split(chunks, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(ids), rtol=1e-5, atol=1e-5)


def test_logits_of_chosen_positions(model: Decoder) -> None:
    ids = random_ids(2, 9)
    hidden = model.hidden_states(ids)
    torch.testing.assert_close(model.logits(hidden[:, -1]), model(ids)[:, -1])


def test_tied_head_trains_the_embedding(model: Decoder) -> None:
    untied = Decoder(dataclasses.replace(CONFIG, tie_embeddings=False))
    assert "lm_head.weight" in untied.state_dict()
    assert "lm_head.weight" not in model.state_dict()
    assert sum(w.numel() for w in untied.parameters()) == untied.config.num_params()


def test_initialisation_is_the_generators_alone() -> None:
    before = torch.get_rng_state()
    one = Decoder(CONFIG, generator=torch.Generator().manual_seed(5))
    two = Decoder(CONFIG, generator=torch.Generator().manual_seed(5))
    other = Decoder(CONFIG, generator=torch.Generator().manual_seed(6))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one.embed.weight, two.embed.weight)
    assert not torch.equal(one.embed.weight, other.embed.weight)
    assert not torch.equal(one.layers[0].ffn.gate_proj.weight, one.layers[1].ffn.gate_proj.weight)
    assert float(one.embed.weight.detach().std()) == pytest.approx(CONFIG.init_std, rel=0.1)
    assert bool((one.final_norm.weight == 1).all())


def test_trains_after_it_generated(model: Decoder) -> None:
    with torch.inference_mode():
        model(random_ids(1, 5))
    model(random_ids(1, 5)).sum().backward()
    assert model.embed.weight.grad is not None


def test_bfloat16_rotates_by_float32_angles(model: Decoder) -> None:
    ids = random_ids(1, 40)
    expected = model(ids)
    got = model.to(torch.bfloat16)(ids)
    assert got.dtype == torch.bfloat16
    assert (got - expected).abs().mean() < 0.05 * expected.abs().mean()


def test_refusals(model: Decoder) -> None:
    with pytest.raises(ShapeError, match="max_seq_len = 48 tokens, got 49"):
        model(random_ids(1, 49))
    cache = KVCache(CONFIG, batch_size=1, capacity=8)
    with pytest.raises(ShapeError, match="segment_ids must be None"):
        model(random_ids(1, 4), segment_ids=torch.zeros(1, 4, dtype=torch.int32), cache=cache)

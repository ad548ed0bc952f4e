"""Grouped-query attention against plain formulas."""

import torch
from torch import Tensor

from llmcore.nn import AttentionCache, SelfAttention, rotary_tables


def attention(num_heads: int, num_kv_heads: int) -> SelfAttention:
    module = SelfAttention(
        12, num_heads=num_heads, num_kv_heads=num_kv_heads, head_dim=4, layer_idx=0
    )
    generator = torch.Generator().manual_seed(0)
    for weight in module.parameters():
        torch.nn.init.normal_(weight, std=0.5, generator=generator)
    return module


def random_input(num_tokens: int = 7) -> Tensor:
    return torch.randn(2, num_tokens, 12, generator=torch.Generator().manual_seed(1))


def tables(num_tokens: int) -> tuple[Tensor, Tensor]:
    return rotary_tables(num_tokens, 4, 10_000.0, torch.device("cpu"))


def test_grouped_equals_multi_head_with_repeated_keys() -> None:
    grouped, full = attention(6, 2), attention(6, 6)
    with torch.no_grad():
        for name in ("q_proj", "o_proj"):
            getattr(full, name).weight.copy_(getattr(grouped, name).weight)
        for name in ("k_proj", "v_proj"):  # head h reads group h // 3
            heads = getattr(grouped, name).weight.view(2, 4, 12).repeat_interleave(3, dim=0)
            getattr(full, name).weight.copy_(heads.reshape(24, 12))
    x = random_input()
    got, expected = grouped(x, rotary=tables(7)), full(x, rotary=tables(7))
    # Keys and values come from products of another width, which round differently: scores of size
    # 10 move the weights by some 10 units of float32, and the largest output by as many.
    scale = torch.finfo(torch.float32).eps * expected.abs().max().item()
    torch.testing.assert_close(got, expected, rtol=0, atol=10 * scale)


def test_matches_the_formula_with_one_head() -> None:
    module = attention(1, 1)
    x = random_input()
    no_rotation = (torch.ones(7, 2), torch.zeros(7, 2))
    q, k, v = (x @ p.weight.T for p in (module.q_proj, module.k_proj, module.v_proj))
    scores = (q @ k.mT / 2).masked_fill(torch.ones(7, 7, dtype=torch.bool).triu(1), -torch.inf)
    expected = scores.softmax(-1) @ v @ module.o_proj.weight.T
    torch.testing.assert_close(module(x, rotary=no_rotation), expected, rtol=1e-5, atol=1e-6)


def test_mask_removes_keys() -> None:
    module, x = attention(2, 1), random_input()
    mask = torch.ones(2, 7, 7, dtype=torch.bool)
    mask[:, 3:, :3] = False
    cos, sin = tables(7)
    alone = module(x[:, 3:], rotary=(cos[3:], sin[3:]))
    torch.testing.assert_close(
        module(x, rotary=(cos, sin), mask=mask)[:, 3:], alone, rtol=1e-5, atol=1e-6
    )


def test_the_inference_cache_has_the_protocol() -> None:
    from llmcore.inference import KVCache

    assert issubclass(KVCache, object) and all(
        name in vars(KVCache) for name in vars(AttentionCache) if not name.startswith("_")
    )

"""Rotary tables: golden rotation, relative positions, and float32 whatever happens around them."""

import pytest
import torch

from llmcore import ops
from llmcore.errors import ConfigError
from llmcore.nn import rotary_tables, xpos_tables
from llmcore.ops.cases import normal

CPU = torch.device("cpu")


@pytest.mark.golden
@pytest.mark.parametrize(
    ("interleaved", "expected"),
    [
        (False, [-1.984110648556, 1.959900667497, 2.462377902412, 4.019799668335]),
        (True, [-1.142639663748, 1.922075596544, 2.959850667913, 4.029799501669]),
    ],
)
def test_golden_rotation(interleaved: bool, expected: list[float]) -> None:
    cos, sin = rotary_tables(2, 4, 10_000.0, CPU)
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 1, 4)
    got = ops.rope(x, cos[1:], sin[1:], interleaved=interleaved)
    torch.testing.assert_close(got.flatten(), torch.tensor(expected), rtol=1e-6, atol=1e-6)


def test_scores_depend_on_the_distance_only() -> None:
    cos, sin = rotary_tables(4096, 16, 10_000.0, CPU)
    q, k = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(0)).unbind(0)

    def score(query_position: int, key_position: int) -> float:
        rotated_q = ops.rope(q, cos[query_position][None], sin[query_position][None])
        rotated_k = ops.rope(k, cos[key_position][None], sin[key_position][None])
        return float((rotated_q * rotated_k).sum())

    assert score(9, 2) == pytest.approx(score(4007, 4000), abs=2e-3)
    assert abs(score(9, 2) - score(9, 3)) > 1e-2


def test_tables_made_in_inference_mode_serve_a_backward() -> None:
    rotary_tables.cache_clear()
    with torch.inference_mode():
        rotary_tables(8, 4, 123.0, CPU)
    cos, sin = rotary_tables(8, 4, 123.0, CPU)
    x = torch.ones(1, 8, 1, 4, requires_grad=True)
    ops.rope(x, cos, sin).sum().backward()
    assert x.grad is not None


def test_tables_stay_float32() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        rotary_tables.cache_clear()
        cos, sin = rotary_tables(8, 4, 10_000.0, CPU)
    finally:
        torch.set_default_dtype(torch.float32)
    assert cos.dtype == sin.dtype == torch.float32


def turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, at: list[int]) -> torch.Tensor:
    """x (T, D) rotated in the paper's layout, as the stored numbers have it."""
    positions = torch.tensor(at)
    return ops.rope(x[:, None], cos, sin, interleaved=True, positions=positions)[:, 0]


@pytest.mark.golden
def test_stored_numbers_of_xpos() -> None:
    # facts 5.7: d = 4, base 1e4, gamma 0.4, scale base 512, x = [1, 2, 3, 4], position 1.
    q_cos, q_sin, k_cos, k_sin = xpos_tables(2, 4, 1e4, CPU)
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    query = [-1.139847267579, 1.91737840573, 2.957297552951, 4.026323467721]
    key = [-1.145438900725, 1.926784294529, 2.962405987049, 4.033278536572]
    torch.testing.assert_close(turned(x, q_cos, q_sin, [1]), torch.tensor([query]))
    torch.testing.assert_close(turned(x, k_cos, k_sin, [1]), torch.tensor([key]))
    scale = xpos_tables(513, 64, 1e4, CPU)[0][512] / rotary_tables(513, 64, 1e4, CPU)[0][512]
    zeta = torch.tensor([2 / 7, 0.3080357143, 0.9776785714])
    torch.testing.assert_close(scale[[0, 1, 31]], zeta)


def test_xpos_scores_depend_on_the_distance_alone_and_not_on_the_centre() -> None:
    q, k = normal(1, 32), normal(1, 32, seed=1)

    def score(query_at: int, key_at: int, centre: int = 0) -> float:
        q_cos, q_sin, k_cos, k_sin = xpos_tables(4096, 32, 1e4, CPU, centre=centre)
        query, key = turned(q, q_cos, q_sin, [query_at]), turned(k, k_cos, k_sin, [key_at])
        return (query * key).sum().item()

    expected = score(700, 100)
    assert score(4000, 3400) == pytest.approx(expected, abs=2e-3)
    assert score(700, 100, centre=2048) == pytest.approx(expected, abs=1e-4)
    assert score(900, 100) != pytest.approx(expected, abs=1e-2)


def test_xpos_without_decay_is_rope() -> None:
    plain = rotary_tables(64, 16, 1e4, CPU)
    found = xpos_tables(64, 16, 1e4, CPU, gamma=1e9)
    for table, expected in zip(found, (*plain, *plain), strict=True):
        torch.testing.assert_close(table, expected)


def test_xpos_keys_cached_one_by_one_are_those_of_the_whole() -> None:
    q_cos, q_sin, k_cos, k_sin = xpos_tables(40, 16, 1e4, CPU)
    q, k = normal(40, 16), normal(40, 16, seed=1)
    scores = turned(q, q_cos, q_sin, list(range(40))) @ turned(k, k_cos, k_sin, list(range(40))).T
    cached: list[torch.Tensor] = []
    for at in range(40):
        cached.append(turned(k[at : at + 1], k_cos, k_sin, [at]))
        query = turned(q[at : at + 1], q_cos, q_sin, [at])
        row = query @ torch.cat(cached).T
        torch.testing.assert_close(row[0], scores[at, : at + 1])


def test_xpos_gradients_are_those_of_the_formula() -> None:
    q_cos, q_sin, *_ = xpos_tables(600, 16, 1e4, CPU)
    x, dy = normal(600, 2, 16).requires_grad_(), normal(600, 2, 16, seed=1)
    (got,) = torch.autograd.grad(ops.rope(x, q_cos, q_sin), x, dy)
    with ops.use_backend("reference"):
        (expected,) = torch.autograd.grad(ops.rope(x, q_cos, q_sin), x, dy)
    torch.testing.assert_close(got, expected)


def test_xpos_refuses_positions_that_float32_cannot_scale() -> None:
    xpos_tables(35_000, 4, 1e4, CPU)
    xpos_tables(70_000, 4, 1e4, CPU, centre=35_000)
    with pytest.raises(ConfigError, match="xpos_tables: num_positions must .* got 40000"):
        xpos_tables(40_000, 4, 1e4, CPU)
    assert all(table.isfinite().all() for table in xpos_tables(35_600, 4, 1e4, CPU))

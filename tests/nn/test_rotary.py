"""Rotary tables: golden rotation, relative positions, and float32 whatever happens around them."""

import pytest
import torch

from llmcore import ops
from llmcore.nn import rotary_tables

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

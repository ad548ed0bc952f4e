"""Warm-up and cosine against hand-computed values."""

import pytest

from llmcore.optim import warmup_cosine

COSINE = {"peak_lr": 1.0, "min_ratio": 0.1, "warmup_steps": 0, "num_steps": 100}


@pytest.mark.golden
@pytest.mark.parametrize(("step", "rate"), [(0, 1.0), (50, 0.55), (100, 0.1)])
def test_cosine_to_ten_percent(step: int, rate: float):
    assert warmup_cosine(step, **COSINE) == pytest.approx(rate, abs=1e-12)


def test_warm_up_is_linear_and_never_zero():
    rates = [
        warmup_cosine(step, peak_lr=2.0, min_ratio=0.0, warmup_steps=4, num_steps=8)
        for step in range(9)
    ]
    assert rates[:5] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert rates[8] == pytest.approx(0.0, abs=1e-12)
    assert all(left > right for left, right in zip(rates[4:], rates[5:], strict=False))


def test_after_the_last_step_the_rate_stays_at_its_minimum():
    assert warmup_cosine(250, **COSINE) == pytest.approx(0.1)


def test_a_run_that_is_all_warm_up():
    assert warmup_cosine(3, peak_lr=1.0, min_ratio=0.1, warmup_steps=4, num_steps=4) == 1.0

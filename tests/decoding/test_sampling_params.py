"""Sampling parameters refuse what makes no sense."""

import pytest

from llmcore.decoding import SamplingParams
from llmcore.errors import ConfigError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": -0.1}, "temperature: must be at least 0, got -0.1"),
        ({"temperature": float("nan")}, "temperature: must be at least 0"),
        ({"temperature": float("inf")}, "temperature: must be at least 0"),
        ({"top_k": -1}, "top_k: must be at least 0"),
        ({"top_p": 0.0}, r"top_p: must be in \(0, 1\], got 0.0"),
        ({"top_p": 1.5}, r"top_p: must be in \(0, 1\]"),
        ({"seed": -1}, r"seed: must be in \[0, 2\^63\)"),
        ({"max_new_tokens": 0}, "max_new_tokens: must be at least 1"),
        ({"stop_ids": (3, -1)}, "stop_ids: must be token ids"),
    ],
)
def test_refusals(change: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SamplingParams(**change)


def test_bounds_are_allowed() -> None:
    SamplingParams(temperature=0.0, top_p=1.0, top_k=0, seed=2**63 - 1, max_new_tokens=1)

"""Sampling parameters refuse what makes no sense."""

from typing import Any

import pytest

from llmcore.config import from_toml, to_toml
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
        ({"min_p": 1.1}, r"min_p: must be in \[0, 1\], got 1.1"),
        ({"typical_p": 0.0}, r"typical_p: must be in \(0, 1\]"),
        ({"repetition_penalty": 0.0}, "repetition_penalty: must be above 0"),
        ({"frequency_penalty": 2.5}, r"frequency_penalty: must be in \[-2, 2\]"),
        ({"presence_penalty": float("nan")}, r"presence_penalty: must be in \[-2, 2\]"),
        ({"logit_bias": {-1: 1.0}}, "logit_bias: must be token ids and values"),
        ({"logit_bias": {1: 101.0}}, r"values in \[-100, 100\], got 1 and 101.0"),
        ({"seed": -1}, r"seed: must be in \[0, 2\^63\)"),
        ({"max_new_tokens": 0}, "max_new_tokens: must be at least 1"),
        ({"stop_ids": (3, -1)}, "stop_ids: must be token ids"),
    ],
)
def test_refusals(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SamplingParams(**change)


def test_bounds_are_allowed() -> None:
    SamplingParams(temperature=0.0, top_p=1.0, top_k=0, seed=2**63 - 1, max_new_tokens=1)


def test_the_bias_goes_through_toml() -> None:
    params = SamplingParams(logit_bias={5: -100.0, 7: 0.5})
    assert params.logit_bias == {5: -100.0, 7: 0.5}
    assert from_toml(SamplingParams, to_toml(params)) == params
    with pytest.raises(ConfigError, match="logit_bias must be an integer, got 'a'"):
        from_toml(SamplingParams, "logit_bias = {a = 1.0}")

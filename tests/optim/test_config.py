"""Hyper-parameters out of range are refused."""

import pytest

from llmcore.errors import ConfigError
from llmcore.optim import OptimConfig


def test_the_defaults_are_those_of_the_literature():
    config = OptimConfig()
    assert (config.betas, config.weight_decay, config.max_grad_norm) == ((0.9, 0.95), 0.1, 1.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("peak_lr", 0.0),
        ("min_lr_ratio", 1.5),
        ("warmup_steps", -1),
        ("betas", (0.9, 1.0)),
        ("eps", 0.0),
        ("weight_decay", -0.1),
        ("max_grad_norm", 0.0),
    ],
)
def test_out_of_range(field: str, value: object):
    with pytest.raises(ConfigError, match=f"OptimConfig: {field} must be"):
        OptimConfig(**{field: value})

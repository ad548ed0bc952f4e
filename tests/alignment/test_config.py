"""DPOConfig: TOML round trip and refusals."""

import pytest

from llmcore.alignment import DPOConfig
from llmcore.config import apply_overrides, from_toml, to_toml
from llmcore.errors import ConfigError
from llmcore.training import TrainConfig

CONFIG = DPOConfig(init_from="model", train_data="dpo.jsonl", train=TrainConfig(num_steps=3))


def test_round_trip_through_toml() -> None:
    changed = apply_overrides(CONFIG, ["beta=0.5", "sft_coef=1", "label_smoothing=0.1"])
    assert (changed.beta, changed.sft_coef, changed.label_smoothing) == (0.5, 1.0, 0.1)
    assert from_toml(DPOConfig, to_toml(changed)) == changed


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("init_from=", "init_from must be a model directory"),
        ("train_data=", "train_data must be a JSONL file"),
        ("beta=0", "beta must be above 0"),
        ("label_smoothing=0.5", r"label_smoothing must be in \[0, 0.5\)"),
        ("sft_coef=-1", "sft_coef must be >= 0"),
        ("kl_every=-1", "kl_every must be >= 0"),
    ],
)
def test_bad_values_are_refused(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        apply_overrides(CONFIG, [assignment])

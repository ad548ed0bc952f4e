"""SFTConfig: TOML round trip and refusals."""

import pytest

from llmcore.config import apply_overrides, from_toml, to_toml
from llmcore.errors import ConfigError
from llmcore.training import TrainConfig
from llmcore.tuning import SFTConfig

CONFIG = SFTConfig(init_from="model", train_data="sft.jsonl", train=TrainConfig(num_steps=3))


def test_round_trip_through_toml() -> None:
    changed = apply_overrides(CONFIG, ["overlong=truncate", "optim.peak_lr=1e-3"])
    assert (changed.overlong, changed.optim.peak_lr) == ("truncate", 1e-3)
    assert from_toml(SFTConfig, to_toml(changed)) == changed


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("init_from=", "init_from must be a model directory"),
        ("train_data=", "train_data must be a JSONL file"),
        ("overlong=crop", "overlong must be one of 'drop', 'truncate', 'split'"),
        ("overlnog=drop", "overlong"),
    ],
)
def test_bad_values_are_refused(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        apply_overrides(CONFIG, [assignment])

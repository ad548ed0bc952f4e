"""The quickstart recipe holds the promises that a config can hold."""

import pytest

from llmcore.config import from_toml, to_toml
from llmcore.errors import ConfigError
from llmcore.pipeline import PipelineConfig
from llmcore.recipes import quickstart


@pytest.mark.parametrize("scale", ["full", "smoke"])
def test_it_builds_and_round_trips(scale):
    config = quickstart(scale)
    assert from_toml(PipelineConfig, to_toml(config)) == config
    assert 1_000_000 <= config.model.num_params() <= 3_000_000
    assert config.num_exercises >= 2_000


def test_smoke_is_the_same_path_but_short():
    full, smoke = quickstart("full"), quickstart("smoke")
    assert smoke.model == full.model
    for stage in ("pretrain", "sft", "dpo"):
        steps = [getattr(c, stage).train.num_steps for c in (full, smoke)]
        assert steps[1] * 4 <= steps[0]


def test_someone_s_text():
    config = quickstart("full", "notes/")
    assert config.data == "notes/"
    assert config.max_data_bytes > quickstart("full").max_data_bytes


def test_another_scale_is_refused():
    with pytest.raises(ConfigError, match="full or smoke"):
        quickstart("huge")

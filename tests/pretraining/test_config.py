"""A run that contradicts itself is refused; a good one knows its cost."""

import dataclasses

import pytest

from llmcore.config import from_toml, to_toml
from llmcore.errors import ConfigError
from llmcore.pretraining import PretrainConfig
from tests.support.toy_pretraining import toy_config


def test_round_trip():
    config = toy_config("tok", "data")
    assert from_toml(PretrainConfig, to_toml(config)) == config


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tokenizer": ""}, "tokenizer must be a path"),
        ({"val_fraction": 0.0}, r"val_fraction must be in \(0, 1\)"),
        ({"val_fraction": 1.0}, r"val_fraction must be in \(0, 1\)"),
        ({"split_seed": -1}, "split_seed must be >= 0"),
        ({"val_rows": 0}, "val_rows must be >= 1"),
    ],
)
def test_out_of_range(change: dict, words: str):
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(toy_config("tok", "data"), **change)


def test_rows_longer_than_the_model_are_refused():
    config = toy_config("tok", "data")
    longer = dataclasses.replace(config.train, seq_len=config.model.max_seq_len + 1)
    with pytest.raises(ConfigError, match="train.seq_len must be at most model.max_seq_len = 64"):
        dataclasses.replace(config, train=longer)


def test_costs():
    config = toy_config("tok", "data")
    assert config.num_tokens() == 24 * 4 * 32
    assert config.num_params() == config.model.num_params()
    assert config.num_flops() == config.num_tokens() * config.model.flops_per_token(32)

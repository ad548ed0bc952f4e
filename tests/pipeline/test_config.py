"""PipelineConfig refuses contradictions and round-trips through TOML."""

from dataclasses import replace

import pytest

from llmcore.config import from_toml, to_toml
from llmcore.errors import ConfigError
from llmcore.pipeline.config import PipelineConfig


def test_round_trip(toy_pipeline):
    assert from_toml(PipelineConfig, to_toml(toy_pipeline)) == toy_pipeline


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vocab_size", 200),
        ("vocab_size", 1000),
        ("val_fraction", 0.0),
        ("num_pairs", 0),
        ("num_exercises", 0),
        ("dpo_beta", 0.0),
        ("data_seed", -1),
    ],
)
def test_bad_values_are_refused(toy_pipeline, field, value):
    with pytest.raises(ConfigError, match=field):
        replace(toy_pipeline, **{field: value})

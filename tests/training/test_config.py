"""Batch shapes and counts that make no sense are refused."""

import pytest

from llmcore.errors import ConfigError
from llmcore.training import TrainConfig
from llmcore.training.config import RESUME_FREE_FIELDS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_steps", 0),
        ("rows_per_batch", 0),
        ("seq_len", -1),
        ("checkpoint_every", 0),
        ("keep_last", 0),
        ("seed", -1),
        ("eval_every", -1),
    ],
)
def test_out_of_range(field: str, value: int):
    with pytest.raises(ConfigError, match=f"TrainConfig: {field} must be"):
        TrainConfig(**{"num_steps": 1, field: value})


def test_rows_split_evenly():
    with pytest.raises(ConfigError, match="rows_per_batch must be a multiple of micro_batches = 3"):
        TrainConfig(num_steps=1, rows_per_batch=8, micro_batches=3)


def test_fields_free_on_resume_exist():
    assert set(TrainConfig.__dataclass_fields__) > RESUME_FREE_FIELDS

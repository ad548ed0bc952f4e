"""EvalConfig refuses what cannot be measured."""

import pytest

from llmcore.errors import ConfigError
from llmcore.evals.config import EvalConfig


@pytest.mark.parametrize(
    ("field", "value"),
    [("model", ""), ("batch_size", 0), ("max_new_tokens", 0), ("seq_len", 1), ("seed", -1)],
)
def test_bad_values_are_refused(field, value):
    with pytest.raises(ConfigError, match=field):
        EvalConfig(**({"model": "somewhere"} | {field: value}))

"""Rows and ids that a model cannot take are refused before training."""

import pytest

from llmcore.errors import ConfigError
from llmcore.models import DecoderConfig
from llmcore.training import require_model_fits

CONFIG = DecoderConfig(
    vocab_size=300,
    hidden_size=16,
    intermediate_size=32,
    num_layers=1,
    num_heads=2,
    num_kv_heads=1,
    head_dim=8,
    max_seq_len=64,
)


def test_what_fits_passes():
    require_model_fits(
        "SFTConfig", CONFIG, seq_len=CONFIG.max_seq_len, num_token_ids=CONFIG.vocab_size
    )


def test_rows_longer_than_the_positions_are_refused():
    with pytest.raises(
        ConfigError, match=r"^SFTConfig: train.seq_len must be at most .*, got 9999$"
    ):
        require_model_fits("SFTConfig", CONFIG, seq_len=9999, num_token_ids=1)


def test_more_ids_than_the_vocabulary_are_refused():
    expected = rf"^DPOConfig: tokenizer .* vocab_size = {CONFIG.vocab_size} tokens, got 9999$"
    with pytest.raises(ConfigError, match=expected):
        require_model_fits("DPOConfig", CONFIG, seq_len=1, num_token_ids=9999)

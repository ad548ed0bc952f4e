"""Reading a LLaMA config.json: defaults, the rotary base, refusals that name the field."""

from typing import Any

import pytest

from llmcore.errors import CheckpointError
from llmcore.models import DecoderConfig
from llmcore.models.llama import from_llama_fields, to_llama_fields, weight_keys

FIELDS: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 99,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def config(**change: Any) -> DecoderConfig:
    return DecoderConfig(
        **{
            "vocab_size": 99,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_layers": 2,
            "num_heads": 4,
            "num_kv_heads": 2,
            "head_dim": 10,
            "max_seq_len": 77,
            "rope_theta": 123.0,
            "norm_eps": 1e-3,
            "tie_embeddings": True,
            "init_std": 0.07,
            **change,
        }
    )


@pytest.mark.parametrize("tied", [True, False])
def test_fields_round_trip(tied: bool) -> None:
    assert from_llama_fields(to_llama_fields(config(tie_embeddings=tied))) == config(
        tie_embeddings=tied
    )


def test_absent_fields_take_the_family_defaults() -> None:
    read = from_llama_fields({**FIELDS, "num_key_value_heads": None, "head_dim": None})
    assert (read.num_kv_heads, read.head_dim, read.max_seq_len) == (4, 8, 2048)
    assert (read.norm_eps, read.rope_theta, read.tie_embeddings) == (1e-6, 10_000.0, False)


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_theta": 5e5},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}},
        {"rope_theta": 5e5, "rope_scaling": None},
        {"rope_theta": 1.0, "rope_parameters": {"rope_theta": 5e5}},
    ],
)
def test_rotary_base_is_found(rope: dict[str, Any]) -> None:
    assert from_llama_fields({**FIELDS, **rope}).rope_theta == 5e5


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_type": "mamba"}, "model_type must be 'llama'"),
        ({"hidden_act": "gelu"}, "hidden_act must be 'silu'"),
        ({"attention_bias": True}, "attention_bias must be False"),
        ({"mlp_bias": True}, "mlp_bias must be False"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling must be plain"),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, "rope_parameters must be"),
        ({"rope_parameters": 3}, "rope_parameters must be an object, got 3"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor must be 1.0"),
        ({"sliding_window": 4096}, "sliding_window must be None"),
        ({"quantization_config": {"bits": 4}}, "quantization_config must be None"),
        ({"num_attention_heads": 0}, "num_attention_heads must be a positive integer, got 0"),
        ({"num_attention_heads": "4"}, "num_attention_heads must be a positive integer"),
        ({"hidden_size": "32"}, "hidden_size must be a positive integer, got '32'"),
        ({"vocab_size": None}, "vocab_size is missing"),
        ({"num_key_value_heads": 3}, "num_heads: must be a multiple of num_kv_heads = 3"),
    ],
)
def test_refusals_name_the_field(change: dict[str, Any], named: str) -> None:
    with pytest.raises(CheckpointError, match=named) as caught:
        from_llama_fields({**FIELDS, **change})
    assert str(caught.value).startswith("config.json: ")
    assert "\n" not in str(caught.value)


def test_no_model_type_is_refused() -> None:
    with pytest.raises(CheckpointError, match="model_type is missing"):
        from_llama_fields({key: FIELDS[key] for key in FIELDS if key != "model_type"})


def test_every_parameter_has_its_own_key() -> None:
    keys = weight_keys(config(tie_embeddings=False))
    assert len(set(keys.values())) == len(keys) == 2 * 9 + 3
    assert keys["layers.1.ffn_norm.weight"] == "model.layers.1.post_attention_layernorm.weight"
    assert "lm_head.weight" not in weight_keys(config())

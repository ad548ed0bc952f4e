"""The LLaMA family: its `config.json` and its names of the weights."""

from collections.abc import Mapping
from typing import Any, Final

from llmcore.errors import CheckpointError, ConfigError
from llmcore.models.decoder_config import DecoderConfig

FIELDS: Final[dict[str, str]] = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "num_kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "max_seq_len": "max_position_embeddings",
    "norm_eps": "rms_norm_eps",
    "tie_embeddings": "tie_word_embeddings",
    "init_std": "initializer_range",
}
"""Field of `DecoderConfig` -> key of `config.json`; the rotary base is nested and not here."""

_DEFAULTS: Final[dict[str, Any]] = {
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "initializer_range": 0.02,
}

_REQUIRED: Final = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
)

_ONLY_SUPPORTED: Final[dict[str, tuple[Any, ...]]] = {
    "model_type": ("llama",),
    "hidden_act": ("silu",),
    "attention_bias": (False, None),
    "mlp_bias": (False, None),
    "partial_rotary_factor": (1.0, None),
    "sliding_window": (None,),
    "quantization_config": (None,),
}
"""Key of `config.json` -> values that this decoder implements; an absent key is fine."""

_TOP_KEYS: Final[dict[str, str]] = {
    "embed.weight": "model.embed_tokens.weight",
    "final_norm.weight": "model.norm.weight",
    "lm_head.weight": "lm_head.weight",
}

_BLOCK_KEYS: Final[dict[str, str]] = {
    "attn_norm.weight": "input_layernorm.weight",
    "attn.q_proj.weight": "self_attn.q_proj.weight",
    "attn.k_proj.weight": "self_attn.k_proj.weight",
    "attn.v_proj.weight": "self_attn.v_proj.weight",
    "attn.o_proj.weight": "self_attn.o_proj.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "ffn.gate_proj.weight": "mlp.gate_proj.weight",
    "ffn.up_proj.weight": "mlp.up_proj.weight",
    "ffn.down_proj.weight": "mlp.down_proj.weight",
}

IGNORED_SUFFIXES: Final = (".self_attn.rotary_emb.inv_freq",)
"""Tensors of old checkpoints that hold nothing learned."""


def weight_keys(config: DecoderConfig) -> dict[str, str]:
    """Parameter name of `Decoder` -> name in a LLaMA checkpoint, for every parameter."""
    keys = dict(_TOP_KEYS)
    if config.tie_embeddings:
        del keys["lm_head.weight"]
    for layer in range(config.num_layers):
        for ours, theirs in _BLOCK_KEYS.items():
            keys[f"layers.{layer}.{ours}"] = f"model.layers.{layer}.{theirs}"
    return keys


def to_llama_fields(config: DecoderConfig) -> dict[str, Any]:
    """`config.json` of a LLaMA model of this shape, without token ids and dtype.

    The rotary base is written in both places that readers look for it: `rope_theta`, and
    `rope_parameters` as transformers 5 has it.
    """
    fields = {theirs: getattr(config, ours) for ours, theirs in FIELDS.items()}
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        **fields,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
    }


def from_llama_fields(fields: Mapping[str, Any]) -> DecoderConfig:
    """Read a LLaMA `config.json`.

    Raises:
        CheckpointError: a field is missing, of the wrong type, contradicts another, or asks for a
            feature that this decoder does not have; the message names the field.
    """
    if "model_type" not in fields:
        raise CheckpointError("config.json: model_type is missing")
    for key, allowed in _ONLY_SUPPORTED.items():
        if key in fields and fields[key] not in allowed:
            raise CheckpointError(
                f"config.json: {key} must be {allowed[0]!r} for this decoder, got {fields[key]!r}"
            )
    known = {**_DEFAULTS, **{key: value for key, value in fields.items() if value is not None}}
    for key in _REQUIRED:
        if key not in known:
            raise CheckpointError(f"config.json: {key} is missing")
        if not isinstance(known[key], int) or known[key] < 1:
            raise CheckpointError(
                f"config.json: {key} must be a positive integer, got {known[key]!r}"
            )
    known.setdefault("num_key_value_heads", known["num_attention_heads"])
    known.setdefault("head_dim", known["hidden_size"] // known["num_attention_heads"])
    values = {ours: known[theirs] for ours, theirs in FIELDS.items() if theirs in known}
    try:
        return DecoderConfig(**values, rope_theta=_rope_theta(fields))
    except ConfigError as error:
        raise CheckpointError(f"config.json: {error}") from error


def _rope_theta(fields: Mapping[str, Any]) -> Any:
    """Rotary base from `rope_parameters` (transformers 5) or `rope_theta`; no scaling allowed."""
    theta = fields.get("rope_theta")
    for key in ("rope_scaling", "rope_parameters"):
        rope = fields.get(key)
        if rope is None:
            continue
        if not isinstance(rope, Mapping):
            raise CheckpointError(f"config.json: {key} must be an object, got {rope!r}")
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind != "default" or rope.get("partial_rotary_factor", 1.0) != 1.0:
            raise CheckpointError(
                f"config.json: {key} must be plain rotary (rope_type 'default'), got {dict(rope)!r}"
            )
        theta = rope.get("rope_theta", theta)
    return 10_000.0 if theta is None else theta

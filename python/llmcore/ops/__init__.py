"""The door to compiled maths: one function per op, each with its reference beside it."""

from llmcore.ops.adamw import adamw_
from llmcore.ops.add_layer_norm import add_layer_norm
from llmcore.ops.add_rms_norm import add_rms_norm
from llmcore.ops.append_to_cache import append_to_cache_
from llmcore.ops.attention import attention
from llmcore.ops.attention_packed import attention_packed
from llmcore.ops.backend import use_backend
from llmcore.ops.cross_entropy import cross_entropy
from llmcore.ops.geglu import geglu
from llmcore.ops.gelu import gelu
from llmcore.ops.global_norm import global_norm
from llmcore.ops.layer_norm import layer_norm
from llmcore.ops.linear import PackedLinear, linear, pack_linear
from llmcore.ops.linear_cross_entropy import linear_cross_entropy
from llmcore.ops.paged_attention import paged_attention
from llmcore.ops.relu2 import relu2
from llmcore.ops.report import build_info, op_backends
from llmcore.ops.rms_norm import rms_norm
from llmcore.ops.rope import rope
from llmcore.ops.rope_ import rope_
from llmcore.ops.sampling import LogitBias, LogitEdits, Logprobs, Penalties, Sampled, sample
from llmcore.ops.swiglu import swiglu

__all__ = [
    "LogitBias",
    "LogitEdits",
    "Logprobs",
    "PackedLinear",
    "Penalties",
    "Sampled",
    "adamw_",
    "add_layer_norm",
    "add_rms_norm",
    "append_to_cache_",
    "attention",
    "attention_packed",
    "build_info",
    "cross_entropy",
    "geglu",
    "gelu",
    "global_norm",
    "layer_norm",
    "linear",
    "linear_cross_entropy",
    "op_backends",
    "pack_linear",
    "paged_attention",
    "relu2",
    "rms_norm",
    "rope",
    "rope_",
    "sample",
    "swiglu",
    "use_backend",
]

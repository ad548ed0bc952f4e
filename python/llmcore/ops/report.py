"""What `llmcore info` prints: what was built, and which backend each op has on each device."""

from typing import Any

from llmcore._native import load_libraries
from llmcore.ops.adamw import BACKENDS as ADAMW
from llmcore.ops.add_layer_norm import BACKENDS as ADD_LAYER_NORM
from llmcore.ops.add_rms_norm import BACKENDS as ADD_RMS_NORM
from llmcore.ops.append_to_cache import BACKENDS as APPEND_TO_CACHE
from llmcore.ops.attention import BACKENDS as ATTENTION
from llmcore.ops.attention_packed import BACKENDS as ATTENTION_PACKED
from llmcore.ops.cross_entropy import BACKENDS as CROSS_ENTROPY
from llmcore.ops.geglu import BACKENDS as GEGLU
from llmcore.ops.gelu import BACKENDS as GELU
from llmcore.ops.global_norm import BACKENDS as GLOBAL_NORM
from llmcore.ops.layer_norm import BACKENDS as LAYER_NORM
from llmcore.ops.linear import BACKENDS as LINEAR
from llmcore.ops.linear_cross_entropy import BACKENDS as LINEAR_CROSS_ENTROPY
from llmcore.ops.paged_attention import BACKENDS as PAGED_ATTENTION
from llmcore.ops.relu2 import BACKENDS as RELU2
from llmcore.ops.rms_norm import BACKENDS as RMS_NORM
from llmcore.ops.rope import BACKENDS as ROPE
from llmcore.ops.rope_ import BACKENDS as ROPE_IN_PLACE
from llmcore.ops.sampling import BACKENDS as SAMPLE
from llmcore.ops.swiglu import BACKENDS as SWIGLU

_TABLES = {
    "rms_norm": RMS_NORM,
    "add_rms_norm": ADD_RMS_NORM,
    "layer_norm": LAYER_NORM,
    "add_layer_norm": ADD_LAYER_NORM,
    "rope": ROPE,
    "rope_": ROPE_IN_PLACE,
    "swiglu": SWIGLU,
    "geglu": GEGLU,
    "gelu": GELU,
    "relu2": RELU2,
    "attention": ATTENTION,
    "attention_packed": ATTENTION_PACKED,
    "paged_attention": PAGED_ATTENTION,
    "append_to_cache_": APPEND_TO_CACHE,
    "cross_entropy": CROSS_ENTROPY,
    "linear_cross_entropy": LINEAR_CROSS_ENTROPY,
    "linear": LINEAR,
    "adamw_": ADAMW,
    "global_norm": GLOBAL_NORM,
    "sample": SAMPLE,
}


def op_backends() -> dict[str, dict[str, str]]:
    """Return op -> device -> backend: `native` is our kernel, `torch` is PyTorch's."""
    return {op: dict(table) for op, table in _TABLES.items()}


def build_info() -> dict[str, Any]:
    """Return the facts of the native build: version, compiler, instruction sets, CUDA, torch."""
    return dict(load_libraries())

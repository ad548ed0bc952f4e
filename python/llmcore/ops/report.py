"""What `llmcore info` prints: what was built, and which backend each op has on each device."""

from typing import Any

from llmcore._native import load_libraries
from llmcore.ops.adamw import BACKENDS as ADAMW
from llmcore.ops.append_to_cache import BACKENDS as APPEND_TO_CACHE
from llmcore.ops.attention import BACKENDS as ATTENTION
from llmcore.ops.attention_packed import BACKENDS as ATTENTION_PACKED
from llmcore.ops.cross_entropy import BACKENDS as CROSS_ENTROPY
from llmcore.ops.paged_attention import BACKENDS as PAGED_ATTENTION
from llmcore.ops.rms_norm import BACKENDS as RMS_NORM
from llmcore.ops.rope import BACKENDS as ROPE
from llmcore.ops.sampling import BACKENDS as SAMPLE
from llmcore.ops.swiglu import BACKENDS as SWIGLU

_TABLES = {
    "rms_norm": RMS_NORM,
    "rope": ROPE,
    "swiglu": SWIGLU,
    "attention": ATTENTION,
    "attention_packed": ATTENTION_PACKED,
    "paged_attention": PAGED_ATTENTION,
    "append_to_cache_": APPEND_TO_CACHE,
    "cross_entropy": CROSS_ENTROPY,
    "adamw_": ADAMW,
    "sample": SAMPLE,
}


def op_backends() -> dict[str, dict[str, str]]:
    """Return op -> device -> backend: `native` is our kernel, `torch` is PyTorch's."""
    return {op: dict(table) for op, table in _TABLES.items()}


def build_info() -> dict[str, Any]:
    """Return the facts of the native build: version, compiler, instruction sets, CUDA, torch."""
    return dict(load_libraries())

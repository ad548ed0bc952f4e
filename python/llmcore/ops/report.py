"""What `llmcore info` prints: what was built, and which backend each op has on each device."""

from typing import Any

from llmcore._native import load_libraries
from llmcore.ops.adamw import BACKENDS as ADAMW
from llmcore.ops.attention import BACKENDS as ATTENTION
from llmcore.ops.cross_entropy import BACKENDS as CROSS_ENTROPY
from llmcore.ops.linear import BACKENDS as LINEAR
from llmcore.ops.rms_norm import BACKENDS as RMS_NORM
from llmcore.ops.rope import BACKENDS as ROPE
from llmcore.ops.sampling import BACKENDS as SAMPLE
from llmcore.ops.swiglu import BACKENDS as SWIGLU

_TABLES = {
    "rms_norm": RMS_NORM,
    "rope": ROPE,
    "swiglu": SWIGLU,
    "attention": ATTENTION,
    "cross_entropy": CROSS_ENTROPY,
    "linear": LINEAR,
    "adamw_": ADAMW,
    "sample": SAMPLE,
}


def op_backends() -> dict[str, dict[str, str]]:
    """Return op -> device -> backend: `native` is our kernel, `torch` is PyTorch's."""
    return {op: dict(table) for op, table in _TABLES.items()}


def build_info() -> dict[str, Any]:
    """Return the facts of the native build: version, compiler, instruction sets, CUDA, torch."""
    return dict(load_libraries())

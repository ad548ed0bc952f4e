"""The door to compiled maths: one function per op, each with its reference beside it."""

from llmcore.ops.adamw import adamw_
from llmcore.ops.append_to_cache import append_to_cache_
from llmcore.ops.attention import attention
from llmcore.ops.attention_packed import attention_packed
from llmcore.ops.backend import use_backend
from llmcore.ops.cross_entropy import cross_entropy
from llmcore.ops.paged_attention import paged_attention
from llmcore.ops.report import build_info, op_backends
from llmcore.ops.rms_norm import rms_norm
from llmcore.ops.rope import rope
from llmcore.ops.sampling import sample
from llmcore.ops.swiglu import swiglu

__all__ = [
    "adamw_",
    "append_to_cache_",
    "attention",
    "attention_packed",
    "build_info",
    "cross_entropy",
    "op_backends",
    "paged_attention",
    "rms_norm",
    "rope",
    "sample",
    "swiglu",
    "use_backend",
]

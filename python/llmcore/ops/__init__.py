"""The door to compiled maths: one function per op, each with its reference beside it."""

from llmcore.ops.adamw import adamw_
from llmcore.ops.attention import attention
from llmcore.ops.backend import use_backend
from llmcore.ops.cross_entropy import cross_entropy
from llmcore.ops.linear import PackedLinear, linear, pack_linear
from llmcore.ops.report import build_info, op_backends
from llmcore.ops.rms_norm import rms_norm
from llmcore.ops.rope import rope
from llmcore.ops.sampling import sample
from llmcore.ops.swiglu import swiglu

__all__ = [
    "PackedLinear",
    "adamw_",
    "attention",
    "build_info",
    "cross_entropy",
    "linear",
    "op_backends",
    "pack_linear",
    "rms_norm",
    "rope",
    "sample",
    "swiglu",
    "use_backend",
]

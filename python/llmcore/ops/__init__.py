"""The door to compiled maths: one function per op, each with its reference beside it."""

from llmcore.ops.adamw import adamw_
from llmcore.ops.add_layer_norm import add_layer_norm
from llmcore.ops.add_rms_norm import add_rms_norm
from llmcore.ops.attention import attention
from llmcore.ops.backend import use_backend
from llmcore.ops.cross_entropy import cross_entropy
from llmcore.ops.layer_norm import layer_norm
from llmcore.ops.report import build_info, op_backends
from llmcore.ops.rms_norm import rms_norm
from llmcore.ops.rope import rope
from llmcore.ops.sampling import sample
from llmcore.ops.swiglu import swiglu

__all__ = [
    "adamw_",
    "add_layer_norm",
    "add_rms_norm",
    "attention",
    "build_info",
    "cross_entropy",
    "layer_norm",
    "op_backends",
    "rms_norm",
    "rope",
    "sample",
    "swiglu",
    "use_backend",
]

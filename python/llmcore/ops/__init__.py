"""The door to compiled maths: one function per op, each with its reference beside it."""

from llmcore.ops.adamw import adamw_
from llmcore.ops.attention import attention
from llmcore.ops.backend import use_backend
from llmcore.ops.cross_entropy import cross_entropy
from llmcore.ops.report import build_info, op_backends
from llmcore.ops.rms_norm import rms_norm
from llmcore.ops.rope import rope
from llmcore.ops.sampling import LogitBias, LogitEdits, Logprobs, Penalties, Sampled, sample
from llmcore.ops.swiglu import swiglu

__all__ = [
    "LogitBias",
    "LogitEdits",
    "Logprobs",
    "Penalties",
    "Sampled",
    "adamw_",
    "attention",
    "build_info",
    "cross_entropy",
    "op_backends",
    "rms_norm",
    "rope",
    "sample",
    "swiglu",
    "use_backend",
]

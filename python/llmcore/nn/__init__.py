"""Layers: each module is one part of a model, with its parameters and no knowledge of the whole."""

from llmcore.nn.attention import AttentionCache, SelfAttention
from llmcore.nn.embedding import Embedding
from llmcore.nn.ffn import FeedForward
from llmcore.nn.linear import Linear, PackedProjection, linear_group
from llmcore.nn.norm import RMSNorm
from llmcore.nn.rotary import rotary_tables, xpos_tables

__all__ = [
    "AttentionCache",
    "Embedding",
    "FeedForward",
    "Linear",
    "PackedProjection",
    "RMSNorm",
    "SelfAttention",
    "linear_group",
    "rotary_tables",
    "xpos_tables",
]

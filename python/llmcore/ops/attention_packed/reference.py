"""The definition of attention_packed: attention of one sequence after the other."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from llmcore.ops.attention.reference import attention_reference
from llmcore.ops.attention.spec import CAUSAL, AttentionSpec


def attention_packed_reference(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    spec: AttentionSpec = CAUSAL,
    *,
    prefix_lens: Tensor | None = None,
    alibi_slopes: Tensor | None = None,
    sinks: Tensor | None = None,
    dropout_seed: int = 0,
    one: Callable[..., Tensor] | None = None,
) -> Tensor:
    """Each sequence by `one` (default: the reference; dropout always takes that), then joined."""
    query_ends, key_ends = cu_seqlens_q.tolist(), cu_seqlens_k.tolist()
    _check_ends("cu_seqlens_q", query_ends, q.shape[0])
    _check_ends("cu_seqlens_k", key_ends, k.shape[0])
    shared = {"alibi_slopes": alibi_slopes, "sinks": sinks}
    outs = [torch.zeros_like(q[:0, :, :1]).expand(0, -1, v.shape[-1])]
    for b in range(len(query_ends) - 1):
        queries, keys = slice(*query_ends[b : b + 2]), slice(*key_ends[b : b + 2])
        options: dict[str, Any] = shared | {
            "prefix_lens": None if prefix_lens is None else prefix_lens[b : b + 1],
        }
        args = (q[None, queries], k[None, keys], v[None, keys], spec)
        if one is None or spec.dropout > 0:
            out = attention_reference(*args, **options, dropout_seed=dropout_seed, first_sequence=b)
        else:
            out = one(*args, **options)
        outs.append(out[0])
    return torch.cat(outs)


def _check_ends(name: str, ends: list[int], num_tokens: int) -> None:
    rises = all(a <= b for a, b in zip(ends[:-1], ends[1:], strict=True))
    if ends[0] != 0 or ends[-1] != num_tokens or not rises:
        raise RuntimeError(
            f"attention_packed: {name} must be non-decreasing from 0 to {num_tokens}, got {ends}"
        )

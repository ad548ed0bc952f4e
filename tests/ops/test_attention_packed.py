"""attention_packed: the shared checks, and that a sequence does not see its neighbours."""

import pytest
import torch

from llmcore.ops import attention, attention_packed
from llmcore.ops.attention import AttentionSpec
from llmcore.ops.attention.arguments import raw_arguments
from llmcore.ops.attention.register import attention_no_grad_native
from llmcore.ops.attention_packed.cases import SPEC, ends, packed
from tests.support.check_op import OpChecks


class TestAttentionPacked(OpChecks):
    spec = SPEC


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("lens", [[1, 1, 1], [3, 200, 0, 1030]], ids=str)
def test_a_sequence_is_the_same_to_the_bit_alone(dtype: torch.dtype, lens: list[int]) -> None:
    key_lens = [length + 70 for length in lens]
    q, k, v, ends_q, ends_k = packed(lens, key_lens, dtype=dtype)
    spec = AttentionSpec(window=600)
    found = attention_packed(q, k, v, ends_q, ends_k, spec)
    for b in range(len(lens)):
        queries, keys = slice(*ends_q[b : b + 2].tolist()), slice(*ends_k[b : b + 2].tolist())
        alone = attention(q[None, queries], k[None, keys], v[None, keys], spec)
        assert torch.equal(found[queries], alone[0])


def test_no_sequences() -> None:
    assert attention_packed(*packed([], [], dtype=torch.float32)).shape == (0, 4, 16)


@pytest.mark.native
def test_bad_ends_raise() -> None:
    q, k, v, ends_q, ends_k = packed([2, 5], [2, 6], dtype=torch.float32)
    bad = [[0, 2, 6], [0, 2, 8], [1, 2, 7], [0, 8, 7], [0, -1, 7], [-5, 2, 7], [0, 2**62, 7]]
    for found in bad:
        with pytest.raises(RuntimeError, match="^attention: cu_seqlens_q must be"):
            attention_packed(q, k, v, torch.tensor(found), ends_k)
    with pytest.raises(RuntimeError, match="^attention: cu_seqlens_k must be"):
        attention_packed(q, k, v, ends_q, torch.tensor([0, 7, 7]))


def test_dispatcher_refuses_batched_rules_for_packed_tokens() -> None:
    q, k, v, ends_q, ends_k = packed([2, 5], [2, 6], dtype=torch.float32)
    lens = {"cu_seqlens_q": ends_q, "cu_seqlens_k": ends_k}
    for extra in (
        {"mask": torch.ones(2, 5, 6, dtype=torch.bool)},
        {"bias": torch.ones(2, 4, 5, 6)},
        {"segment_ids": torch.ones(2, 6, dtype=torch.int64)},
        {"cu_seqlens_k": ends([2, 3, 3])},
        {"cu_seqlens_q": torch.empty(0)},
        {"cu_seqlens_q": torch.tensor([0.0, 2.0, 7.0])},
    ):
        raw = raw_arguments(q, k, v, AttentionSpec(), **{**lens, **extra})
        with pytest.raises(RuntimeError, match="^attention: .* must be"):
            attention_no_grad_native(*raw)

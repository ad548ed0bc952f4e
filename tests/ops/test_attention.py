"""attention: the shared checks, golden pair counts, other people's attention, one order per row."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from llmcore.errors import ConfigError
from llmcore.ops import attention
from llmcore.ops.attention import FULL, AttentionSpec
from llmcore.ops.attention.arguments import raw_arguments
from llmcore.ops.attention.cases import SPEC, documents, qkv, same_document
from llmcore.ops.attention.register import attention_native, attention_no_grad_native
from llmcore.ops.cases import normal
from tests.support.check_op import OpChecks


class TestAttention(OpChecks):
    spec = SPEC


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def kept_pairs(spec: AttentionSpec, num_tokens: int) -> Tensor:
    """Which pairs the kernel keeps: with zero queries every kept key has the same weight."""
    q = torch.zeros(1, num_tokens, 1, 16)
    v = torch.eye(num_tokens).view(1, num_tokens, 1, num_tokens)
    return attention(q, q, v, spec)[0, :, 0] > 0


@pytest.mark.golden
@pytest.mark.parametrize(
    ("sparse", "expected"),
    [
        ("full", 136),
        ("strided", 40),
        ("local_or_strided", 82),
        ("fixed_local", 40),
        ("fixed_summary", 28),
        ("fixed", 64),
    ],
)
def test_golden_pair_counts(sparse: str, expected: int) -> None:
    # facts 7.2, n = 16, l = 4, c = 1; the paper's local pattern is a window of l keys.
    kept = kept_pairs(AttentionSpec(sparse=sparse, stride=4, summary=1), 16)
    assert kept.sum() == expected
    if sparse == "full":
        assert kept_pairs(AttentionSpec(window=4), 16).sum() == 58


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("sparse", ["strided", "local_or_strided", "fixed_local", "fixed"])
def test_sparse_patterns_over_many_blocks(sparse: str, causal: bool) -> None:
    spec = AttentionSpec(causal=causal, sparse=sparse, stride=90, summary=7)
    i, s = torch.arange(400)[:, None], torch.arange(400)[None, :]
    local, strided, block = (i - s).abs() < 90, (i - s) % 90 == 0, i // 90 == s // 90
    expected = {
        "strided": strided,
        "local_or_strided": local | strided,
        "fixed_local": block,
        "fixed": block | (s % 90 >= 83),
    }[sparse]
    assert torch.equal(kept_pairs(spec, 400), expected & (s <= i if causal else True))


def test_fully_masked_query_gives_zeros_and_no_gradient() -> None:
    q, k = normal(1, 3, 2, 8).requires_grad_(), normal(1, 3, 2, 8, seed=1)
    mask = torch.ones(1, 3, 3, dtype=torch.bool)
    mask[0, 1] = False
    out = attention(q, k, k, mask=mask)
    (grad,) = torch.autograd.grad(out.sum(), q)
    assert torch.equal(out[0, 1], torch.zeros(2, 8)) and torch.equal(grad[0, 1], torch.zeros(2, 8))
    assert out[0, 2].abs().sum() > 0


def test_a_bias_of_minus_infinity_is_a_mask() -> None:
    q, k, v = qkv(1, 70, 70, (2, 1), dtype=torch.float32)
    mask = same_document(documents(1, 70, 3))
    mask[0, 5] = False
    bias = torch.where(mask, 0.0, -torch.inf)[:, None]
    assert torch.equal(attention(q, k, v, FULL, bias=bias), attention(q, k, v, FULL, mask=mask))


def test_log_sum_exp() -> None:
    q, k, v = qkv(2, 70, 130, (4, 2), dtype=torch.float32)
    mask = torch.ones(1, 70, 130, dtype=torch.bool)
    mask[0, 3] = False
    _, lse = attention_native(*raw_arguments(q, k, v, AttentionSpec(scale=2.0), mask=mask))
    scores = 2 * torch.einsum("bthd,bshd->bhts", q, k.repeat_interleave(2, dim=2)).double()
    keep = mask[:, None] & (torch.arange(130) <= torch.arange(70)[:, None] + 60)
    expected = scores.masked_fill(~keep, -torch.inf).logsumexp(dim=-1)
    torch.testing.assert_close(lse.double(), expected, rtol=1e-6, atol=1e-5)
    assert lse[0, 0, 3] == -torch.inf


@pytest.mark.native
def test_the_last_query_sees_every_key() -> None:
    # Causal is aligned bottom-right: the tail of a long run equals the tail alone, cached.
    q, k, v = (normal(2, 9, 4, 8, seed=seed) for seed in range(3))
    whole = attention(q, k, v)
    assert torch.equal(attention(q[:, 6:], k, v), whole[:, 6:])
    assert torch.equal(attention(q[:, 8:], k, v), whole[:, 8:])


def test_grouped_heads_equal_repeated_heads() -> None:
    q, k = normal(2, 5, 6, 8), normal(2, 5, 2, 8, seed=1)
    repeated = k.repeat_interleave(3, dim=2)
    assert torch.equal(attention(q, k, k), attention(q, repeated, repeated))


# --- one order per row ---------------------------------------------------------------------------

RULES = [
    AttentionSpec(),
    AttentionSpec(window=100, softcap=5.0),
    AttentionSpec(sparse="fixed", stride=48, summary=5),
]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("spec", RULES, ids=str)
@pytest.mark.native
def test_a_row_is_the_same_whole_in_chunks_and_one_by_one(
    dtype: torch.dtype, spec: AttentionSpec
) -> None:
    length = 1100  # beyond one span of keys
    q, k, v = qkv(1, length, length, (6, 2), (20, 33), dtype=dtype)
    whole = attention(q, k, v, spec)
    for size in (7, 64, 333):
        for end in (*range(size, 260, size), length):
            begin = max(0, end - size)
            part = attention(q[:, begin:end], k[:, :end], v[:, :end], spec)
            assert torch.equal(part, whole[:, begin:end]), (size, end)
    for t in (0, 1, 63, 64, 65, 500, 1023, 1024, 1025, length - 1):
        one = attention(q[:, t : t + 1], k[:, : t + 1], v[:, : t + 1], spec)
        assert torch.equal(one[:, 0], whole[:, t]), t


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("num_queries", [1, 3, 40])
@pytest.mark.native
def test_a_sequence_is_the_same_alone_and_in_any_batch(
    dtype: torch.dtype, num_queries: int
) -> None:
    q, k, v = qkv(32, num_queries, 1100, (4, 2), dtype=dtype)
    found = attention(q, k, v)
    for batch in (1, 2, 5, 31):
        assert torch.equal(attention(q[:batch], k[:batch], v[:batch]), found[:batch])
    assert torch.equal(attention(q[31:], k[31:], v[31:]), found[31:])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("num_queries", [1, 700])
def test_threads_change_nothing(dtype: torch.dtype, num_queries: int) -> None:
    args = qkv(1, num_queries, 2500, (4, 1), dtype=dtype)
    found = []
    for num_threads in (1, 2, 3):
        torch.set_num_threads(num_threads)
        found.append(attention(*args))
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


# --- witnesses from outside ------------------------------------------------------------------


@pytest.mark.parity
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_torch_sdpa_agrees(dtype: torch.dtype) -> None:
    q, k, v = qkv(2, 200, 200, (4, 2), (64, 64), dtype=dtype)
    heads = [tensor.transpose(1, 2) for tensor in (q, k, v)]
    theirs = F.scaled_dot_product_attention(*heads, is_causal=True, enable_gqa=True)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    mine = attention(q, k, v).transpose(1, 2)
    torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance)
    bias = normal(2, 4, 200, 200, dtype=dtype)
    theirs = F.scaled_dot_product_attention(*heads, attn_mask=bias, enable_gqa=True)
    mine = attention(q, k, v, FULL, bias=bias).transpose(1, 2)
    torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parity
def test_transformers_gemma2_softcap_agrees() -> None:
    gemma2 = pytest.importorskip("transformers.models.gemma2.modeling_gemma2")
    q, k, v = qkv(2, 70, 70, (4, 2), dtype=torch.float32)
    module = torch.nn.Module()
    module.num_key_value_groups = 2
    future = torch.ones(70, 70, dtype=torch.bool).triu(1)
    theirs, _ = gemma2.eager_attention_forward(
        module.eval(),
        *[tensor.transpose(1, 2) for tensor in (q, k, v)],
        torch.zeros(70, 70).masked_fill(future, torch.finfo(torch.float32).min)[None, None],
        scaling=0.3,
        softcap=1.7,
    )
    mine = attention(q, k, v, AttentionSpec(scale=0.3, softcap=1.7))
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parity
def test_transformers_gpt_oss_sinks_agree() -> None:
    gpt_oss = pytest.importorskip("transformers.models.gpt_oss.modeling_gpt_oss")
    q, k, v = qkv(2, 70, 70, (4, 2), dtype=torch.float32)
    module = torch.nn.Module()
    module.num_key_value_groups = 2
    module.sinks = torch.nn.Parameter(normal(4, seed=5))
    i, s = torch.arange(70)[:, None], torch.arange(70)[None, :]
    dropped = (s > i) | (i - s >= 16)
    theirs, _ = gpt_oss.eager_attention_forward(
        module.eval(),
        *[tensor.transpose(1, 2) for tensor in (q, k, v)],
        torch.zeros(70, 70).masked_fill(dropped, torch.finfo(torch.float32).min)[None, None],
        scaling=0.25,
    )
    mine = attention(q, k, v, AttentionSpec(window=16), sinks=module.sinks)
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parity
def test_transformers_t5_bias_agrees() -> None:
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
    config = t5.T5Config(
        d_model=32, d_kv=8, num_heads=4, is_decoder=False, dropout_rate=0.0, use_cache=False
    )
    torch.manual_seed(0)
    module = t5.T5Attention(config, has_relative_attention_bias=True, layer_idx=0).eval()
    x = normal(2, 50, 32)
    with torch.no_grad():
        theirs = module(x)[0]
        q, k, v = (proj(x).unflatten(-1, (4, 8)) for proj in (module.q, module.k, module.v))
        bias = module.compute_bias(50, 50)
        spec = AttentionSpec(causal=False, scale=1.0)
        mine = module.o(attention(q, k, v, spec, bias=bias).flatten(2))
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


# --- limits --------------------------------------------------------------------------------------

MEMORY = """
import resource, torch
from llmcore.ops import attention
torch.set_num_threads(1)
q = torch.randn(1, 16384, 1, 16)
with torch.no_grad():
    attention(q[:, :256], q[:, :256], q[:, :256])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attention(q, q, q)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.native
def test_memory_is_linear() -> None:
    """16,384 tokens: the scores alone would take 1 GiB."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 16 * 1024, f"grew by {done.stdout} KiB"


def test_values_that_are_not_finite_propagate() -> None:
    q, k, v = qkv(1, 5, 5, (1, 1), dtype=torch.float32)
    k[0, 0] = torch.nan
    assert attention(q, k, v).isnan().all()
    q[0, 2] = torch.inf
    assert attention(q, k, v)[0, 2].isnan().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": -1}, "window must be at least 0, got -1"),
        ({"sparse": "banded"}, "sparse must be one of full, .* got banded"),
        ({"sparse": "strided"}, "stride must be at least 1, got 0"),
        ({"sparse": "fixed", "stride": 4, "summary": 5}, "summary must be from 1 to stride 4"),
        ({"scale": float("nan")}, "scale must be finite, got nan"),
        ({"softcap": -1.0}, "softcap must be finite and >= 0, got -1.0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_bad_specs_raise(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AttentionSpec(**options)  # type: ignore[arg-type]


def test_dispatcher_checks_everything_itself() -> None:
    """Garbage straight into the registered op: one line each, never a crash."""
    q, k, v = qkv(2, 5, 5, (4, 2), dtype=torch.float32)
    good = list(raw_arguments(q, k, v, AttentionSpec(sparse="fixed", stride=2, summary=1)))
    none = torch.empty(0)
    garbage = {
        0: [q[0, 0], q.double(), q[..., :0], none],
        1: [k[:1], k[:, :, :0], k.half(), k[..., :3]],
        2: [v[:, :2], v.bfloat16(), none],
        3: [torch.ones(2, 5, 4).bool(), torch.ones(2, 5, 5), torch.ones(5, 5).bool()],
        4: [normal(3, 4, 5, 5), normal(2, 4, 5, 5).half()],
        5: [torch.ones(2, 5), torch.ones(2, 4).long()],
        6: [torch.ones(3).long(), torch.ones(2)],
        7: [torch.ones(3), torch.ones(4).half()],
        8: [torch.ones(3), torch.ones(4).double()],
        9: [torch.tensor([0, 5])],
        10: [torch.tensor([0, 5])],
        11: [float("inf"), float("nan"), 1e300],
        12: [-1.0, float("inf")],
        13: [-0.1, 1.0, 1 - 1e-12],
        16: [-1],
        17: [-1, 6],
        18: [0, -5, 2**40],
        19: [0, 3],
    }
    attention_no_grad_native(*good)
    for position, values in garbage.items():
        for value in values:
            args = [*good[:position], value, *good[position + 1 :]]
            with pytest.raises(RuntimeError, match="^attention: .* must be .*"):
                attention_no_grad_native(*args)

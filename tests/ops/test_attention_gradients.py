"""Gradients of attention: every rule and shape against float64, and witnesses from outside."""

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from llmcore.ops import attention
from llmcore.ops.attention.arguments import raw_arguments
from llmcore.ops.attention.cases import SPEC, qkv
from llmcore.ops.attention.dropout import dropout_factors
from llmcore.ops.attention.register import attention_backward_native, attention_native
from llmcore.ops.attention.spec import CAUSAL, FULL, AttentionSpec
from llmcore.ops.cases import OpCase, normal
from tests.support.check_op import check_gradients

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def gradients(function: Callable[..., Tensor], *inputs: Tensor, **options: Any) -> list[Tensor]:
    """Gradients of `inputs` and of the float tensors among `options`, against one fixed dout."""
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    named = {
        name: value.detach().requires_grad_() if name in ("bias", "sinks") else value
        for name, value in options.items()
    }
    out = function(*leaves, **named)
    wanted = leaves + [named[name] for name in ("bias", "sinks") if name in named]
    return list(torch.autograd.grad(out, wanted, normal(*out.shape, seed=31).to(out.dtype)))


def check_case(args: tuple[Any, ...], **options: Any) -> None:
    check_gradients(SPEC, OpCase(name="case", args=args, kwargs=options))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("width", [16, 32, 64, 80, 96, 128, 256])
def test_head_dims(dtype: torch.dtype, width: int) -> None:
    check_case((*qkv(1, 150, 150, (2, 1), (width, width), dtype=dtype), CAUSAL))
    check_case((*qkv(1, 67, 130, (2, 2), (width, 48), dtype=dtype), FULL))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_broadcast_shape_of_the_bias(dtype: torch.dtype) -> None:
    args = qkv(2, 67, 70, (4, 2), dtype=dtype)
    softcap = AttentionSpec(softcap=4.0, scale=0.5)
    for batch, heads, queries, keys in itertools.product((2, 1), (4, 1), (67, 1), (70, 1)):
        bias = normal(batch, heads, queries, keys, dtype=dtype, seed=7)
        check_case((*args, softcap), bias=bias)
        sinks = normal(4, dtype=dtype, seed=3)
        check_case((*args, FULL), bias=bias, sinks=sinks)


def test_a_bias_expanded_by_the_caller_gets_its_own_gradient() -> None:
    args = qkv(2, 9, 9, (4, 2), dtype=torch.float32)
    check_case((*args, FULL), bias=normal(1, 4, 9, 9).expand(2, 4, 9, 9))


def test_t5_bias_gradient_is_that_of_transformers() -> None:
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
    config = t5.T5Config(d_model=48, d_kv=16, num_heads=3, dropout_rate=0.0)
    torch.manual_seed(0)
    layer = t5.T5Attention(config, has_relative_attention_bias=True).eval()
    hidden = normal(2, 70, 48)

    def ours() -> Tensor:
        q, k, v = (
            projection(hidden).view(2, 70, 3, 16) for projection in (layer.q, layer.k, layer.v)
        )
        out = attention(
            q, k, v, AttentionSpec(causal=False, scale=1.0), bias=layer.compute_bias(70, 70)
        )
        return layer.o(out.reshape(2, 70, 48))

    parameters = list(layer.parameters())
    theirs = layer(hidden)[0]
    torch.testing.assert_close(ours(), theirs, rtol=1e-5, atol=1e-5)
    dout = normal(2, 70, 48, seed=2)
    found = torch.autograd.grad(ours(), parameters, dout)
    expected = torch.autograd.grad(theirs, parameters, dout)
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5 * other.abs().max().item())


def test_sink_gradient_is_that_of_transformers() -> None:
    gpt_oss = pytest.importorskip("transformers.models.gpt_oss.modeling_gpt_oss")
    q, k, v = qkv(2, 70, 70, (4, 2), dtype=torch.float32)
    causal = torch.full((70, 70), -torch.inf).triu(1)

    def theirs(q: Tensor, k: Tensor, v: Tensor, *, sinks: Tensor) -> Tensor:
        layer = torch.nn.Module()
        layer.num_key_value_groups, layer.sinks = 2, torch.nn.Parameter(sinks)
        del layer.sinks
        layer.sinks = sinks
        heads = (tensor.transpose(1, 2) for tensor in (q, k, v))
        return gpt_oss.eager_attention_forward(layer, *heads, causal, scaling=0.25)[0]

    sinks = normal(4, seed=3)
    found, expected = (
        gradients(attention, q, k, v, sinks=sinks),
        gradients(theirs, q, k, v, sinks=sinks),
    )
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_keys", [150, 200])
def test_gradients_are_those_of_torch(num_keys: int) -> None:
    q, k, v = qkv(2, 150, num_keys, (4, 2), (64, 64), dtype=torch.float32)
    keep = torch.ones(150, num_keys, dtype=torch.bool).tril(num_keys - 150)

    def theirs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        heads = (tensor.transpose(1, 2) for tensor in (q, k, v))
        out = F.scaled_dot_product_attention(*heads, attn_mask=keep, enable_gqa=True)
        return out.transpose(1, 2)

    for mine, other in zip(gradients(attention, q, k, v), gradients(theirs, q, k, v), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=2e-5)


def test_dropout_drops_the_same_weights_as_the_forward() -> None:
    # With one-hot values the output is the dropped weights, so the forward shows its own mask.
    q, k, _ = qkv(1, 70, 70, (2, 2), dtype=torch.float32)
    eye = torch.eye(70)[None, :, None].expand(1, 70, 2, 70)
    spec = AttentionSpec(causal=False, dropout=0.4)
    shown = attention(q, k, eye, spec, dropout_seed=9).permute(0, 2, 1, 3)
    assert torch.equal(shown != 0, dropout_factors((1, 2, 70, 70), 0.4, 9) != 0)
    (_, _, dv) = gradients(lambda q, k, v: attention(q, k, v, spec, dropout_seed=9), q, k, eye)
    dout = normal(1, 70, 2, 70, seed=31)
    expected = torch.einsum("bhts,bthd->bshd", shown.double(), dout.double())
    torch.testing.assert_close(dv, expected.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
@pytest.mark.native
def test_gradients_do_not_depend_on_the_number_of_threads(dtype: torch.dtype) -> None:
    calls: list[tuple[tuple[Tensor, ...], dict[str, Any]]] = [
        (qkv(1, 330, 330, (2, 1), (32, 32), dtype=dtype), {}),
        (qkv(1, 700, 700, (1, 1), (32, 32), dtype=dtype), {}),
        (qkv(3, 130, 140, (4, 2), dtype=dtype), {"sinks": normal(4, dtype=dtype)}),
        (qkv(2, 130, 130, (4, 2), dtype=dtype), {"bias": normal(1, 4, 130, 130, dtype=dtype)}),
        (qkv(2, 130, 130, (4, 2), dtype=dtype), {"bias": normal(1, 1, 1, 130, dtype=dtype)}),
        (qkv(2, 130, 130, (4, 2), dtype=dtype), {"bias": normal(1, 1, 130, 130, dtype=dtype)}),
    ]
    for args, options in calls:
        found = []
        for num_threads in (1, 2, 3, 5):
            torch.set_num_threads(num_threads)
            found.append(gradients(attention, *args, **options))
        for other in found[1:]:
            assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
@pytest.mark.native
def test_a_sequence_has_the_same_gradient_alone_batched_and_packed(dtype: torch.dtype) -> None:
    lengths = [70, 1, 130, 64]
    starts = [0, *itertools.accumulate(lengths)]
    q, k, v = (tensor[0] for tensor in qkv(1, starts[-1], starts[-1], (4, 2), dtype=dtype))
    bounds = torch.tensor(starts)

    def packed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        cu_seqlens = {"cu_seqlens_q": bounds, "cu_seqlens_k": bounds}
        return attention_native(*raw_arguments(q, k, v, CAUSAL, **cu_seqlens))[0]

    dout = normal(starts[-1], 4, 16, seed=31).to(dtype)
    leaves = [tensor.detach().requires_grad_() for tensor in (q, k, v)]
    together = torch.autograd.grad(packed(*leaves), leaves, dout)
    for begin, end in itertools.pairwise(starts):
        rows = slice(begin, end)
        for copies in (1, 3):
            alone = [
                tensor[None, rows].repeat(copies, 1, 1, 1).requires_grad_() for tensor in (q, k, v)
            ]
            found = torch.autograd.grad(
                attention(*alone), alone, dout[None, rows].repeat(copies, 1, 1, 1)
            )
            for mine, other in zip(found, together, strict=True):
                assert torch.equal(mine[copies - 1], other[rows])


def test_packed_rules_are_those_of_each_sequence() -> None:
    lengths, key_lengths = [65, 1, 0, 30], [65, 70, 9, 0]
    starts, key_starts = ([0, *itertools.accumulate(each)] for each in (lengths, key_lengths))
    q = normal(starts[-1], 4, 16).requires_grad_()
    k, v = (normal(key_starts[-1], 2, 16, seed=seed).requires_grad_() for seed in (1, 2))
    sinks, slopes = normal(4, seed=3).requires_grad_(), 2.0 ** -torch.arange(1.0, 5.0)
    prefix = torch.tensor([10, 80, 3, 0])
    spec = AttentionSpec(window=20, softcap=3.0)
    raw = raw_arguments(
        q,
        k,
        v,
        spec,
        prefix_lens=prefix,
        alibi_slopes=slopes,
        sinks=sinks,
        cu_seqlens_q=torch.tensor(starts),
        cu_seqlens_k=torch.tensor(key_starts),
    )
    dout = normal(starts[-1], 4, 16, seed=31)
    found = torch.autograd.grad(attention_native(*raw)[0], (q, k, v, sinks), dout)
    outs = [
        attention(
            q[None, begin:end],
            k[None, key_begin:key_end],
            v[None, key_begin:key_end],
            spec,
            prefix_lens=prefix[i : i + 1],
            alibi_slopes=slopes,
            sinks=sinks,
        )[0]
        for i, ((begin, end), (key_begin, key_end)) in enumerate(
            zip(itertools.pairwise(starts), itertools.pairwise(key_starts), strict=True)
        )
    ]
    expected = torch.autograd.grad(torch.cat(outs), (q, k, v, sinks), dout)
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_grouped_heads_equal_repeated_heads() -> None:
    q, k, v = qkv(2, 70, 70, (6, 2), dtype=torch.float32)

    def repeated(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention(q, *(tensor.repeat_interleave(3, dim=2) for tensor in (k, v)))

    grouped, expected = gradients(attention, q, k, v), gradients(repeated, q, k, v)
    assert torch.equal(grouped[0], expected[0])
    for mine, other in zip(grouped[1:], expected[1:], strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_queries_that_keep_nothing_have_no_gradient(dtype: torch.dtype) -> None:
    q, k, v = qkv(2, 70, 70, (4, 2), dtype=dtype)
    mask = torch.ones(2, 70, 70, dtype=torch.bool)
    mask[0, 5], mask[1] = False, False
    for options in ({}, {"sinks": normal(4, dtype=dtype)}):
        dq, dk, dv, *rest = gradients(
            lambda *args, **kwargs: attention(*args, FULL, mask=mask, **kwargs), q, k, v, **options
        )
        assert not dq[0, 5].any() and not dq[1].any() and not dk[1].any() and not dv[1].any()
        assert dq[0, 6].any() and all(tensor.isfinite().all() for tensor in (dq, dk, dv, *rest))


def test_minus_infinity_as_bias_masks_without_nan() -> None:
    q, k, v = qkv(1, 70, 70, (2, 1), dtype=torch.float32)
    bias = torch.zeros(1, 1, 70, 70).masked_fill(torch.ones(70, 70).triu(1).bool(), -torch.inf)
    bias[:, :, 3] = -torch.inf
    *found, dbias = gradients(
        lambda *args, bias: attention(*args, FULL, bias=bias), q, k, v, bias=bias
    )
    expected = gradients(lambda *args: attention(*args, mask=(bias == 0)[0]), q, k, v)
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other)
    assert dbias.isfinite().all() and not dbias[:, :, 3].any()


def test_a_gradient_of_other_strides() -> None:
    q, k, v = (tensor.requires_grad_() for tensor in qkv(2, 9, 9, (4, 2), dtype=torch.float32))
    out = attention(q, k, v)
    for dout in (torch.ones(1, 1, 1, 1).expand(out.shape), normal(16, 4, 9, 2).permute(3, 2, 1, 0)):
        found = torch.autograd.grad(out, (q, k, v), dout, retain_graph=True)
        expected = torch.autograd.grad(out, (q, k, v), dout.contiguous(), retain_graph=True)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_only_the_wanted_gradients_are_made() -> None:
    q, k, v = qkv(1, 5, 5, (2, 1), dtype=torch.float32)
    bias, sinks = normal(1, 2, 5, 5), normal(2)
    (dq,) = torch.autograd.grad(attention(q.requires_grad_(), k, v, bias=bias).sum(), q)
    assert dq.any()
    (dsinks,) = torch.autograd.grad(attention(q, k, v, sinks=sinks.requires_grad_()).sum(), sinks)
    assert dsinks.any()


MEASURE = """
import resource, torch
from llmcore.ops import attention
torch.set_num_threads(1)
def backward(length):
    q, k, v = (torch.randn(1, length, 2, 16, requires_grad=True) for _ in range(3))
    attention(q, k, v).sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = backward(64)
print((backward(8192) - before) / 1024)
"""


@pytest.mark.native
def test_memory_grows_with_the_length_not_its_square() -> None:
    # One float32 T x T array would be 256 MiB; the tensors themselves are 1 MiB each.
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 40


def saved_arguments() -> list[Any]:
    q, k, v = qkv(2, 5, 6, (4, 2), (8, 12), dtype=torch.float32)
    rules = raw_arguments(q, k, v, CAUSAL, bias=normal(1, 4, 5, 6), sinks=normal(4))
    out, lse = attention_native(*rules)
    return [torch.ones_like(out), q, k, v, out, lse, *rules[3:], True, True]


def test_backward_op_is_registered() -> None:
    torch.library.opcheck(attention_backward_native, tuple(saved_arguments()))


@pytest.mark.parametrize(
    ("position", "wrong", "message"),
    [
        (0, torch.ones(2, 5, 4, 8), r"dout must be \(2, 5, 4, 12\), got \(2, 5, 4, 8\)"),
        (0, torch.ones(2, 5, 4, 12).half(), "dout must be of q's dtype"),
        (4, torch.ones(2, 5, 4), r"out must be \(2, 5, 4, 12\)"),
        (5, torch.ones(2, 5, 4), r"lse must be \(2, 4, 5\), got \(2, 5, 4\)"),
        (5, torch.ones(2, 4, 5).double(), "lse must be float32"),
        (2, torch.ones(2, 6, 3, 8), "k must be"),
        (7, torch.ones(1, 4, 5, 5), "bias must be"),
    ],
)
def test_dispatcher_checks_its_arguments(position: int, wrong: Tensor, message: str) -> None:
    args = saved_arguments()
    args[position] = wrong
    with pytest.raises(RuntimeError, match=f"attention_backward: {message}"):
        attention_backward_native(*args)

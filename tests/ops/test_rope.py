"""rope: the shared checks, stored numbers, other people's code, and independence of the batch."""

import pytest
import torch

from llmcore.ops import rope, use_backend
from llmcore.ops.cases import normal
from llmcore.ops.rope.cases import SPEC, tables
from tests.support.check_op import OpChecks, unhooked


class TestRope(OpChecks):
    spec = SPEC


@pytest.mark.golden
def test_stored_numbers() -> None:
    # facts 5.5: d = 4, base 1e4, x = [1, 2, 3, 4], position 1.
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 4)
    cos, sin = tables(torch.tensor([1]), 4)
    half = [-1.984110648556, 1.959900667497, 2.462377902412, 4.019799668335]
    pairs = [-1.142639663748, 1.922075596544, 2.959850667913, 4.029799501669]
    torch.testing.assert_close(rope(x, cos, sin).flatten(), torch.tensor(half))
    got = rope(x, cos, sin, interleaved=True).flatten()
    torch.testing.assert_close(got, torch.tensor(pairs))


def test_scores_depend_on_the_distance_alone() -> None:
    q, k = normal(1, 1, 1, 16), normal(1, 1, 1, 16, seed=1)

    def score(query_at: int, key_at: int) -> float:
        turned = [
            rope(x, *tables(torch.tensor([at]), 16)) for x, at in ((q, query_at), (k, key_at))
        ]
        return (turned[0] * turned[1]).sum().item()

    assert score(7, 3) == pytest.approx(score(100_007, 100_003), abs=1e-4)
    assert score(7, 3) != pytest.approx(score(9, 3), abs=1e-2)


@pytest.mark.parity
def test_the_half_split_layout_is_that_of_transformers() -> None:
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    q, k = normal(2, 33, 4, 48), normal(2, 33, 2, 48, seed=1)
    cos, sin = tables(torch.arange(33), 48)
    wide = [torch.cat((table, table), dim=-1)[None] for table in (cos, sin)]
    expected = apply_rotary_pos_emb(q.transpose(1, 2), k.transpose(1, 2), *wide)
    for x, theirs in zip((q, k), expected, strict=True):
        torch.testing.assert_close(rope(x, cos, sin), theirs.transpose(1, 2))


@pytest.mark.parity
def test_the_interleaved_partial_layout_is_that_of_gpt_j() -> None:
    from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb

    x = normal(1, 9, 2, 40)
    cos, sin = tables(torch.arange(9), 24)
    theirs = apply_rotary_pos_emb(x[..., :24], sin[None], cos[None])
    got = rope(x, cos, sin, interleaved=True)
    torch.testing.assert_close(got[..., :24], theirs)
    assert torch.equal(got[..., 24:], x[..., 24:])


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_token_is_the_same_alone_in_a_batch_and_in_a_view(
    dtype: torch.dtype, interleaved: bool
) -> None:
    cos, sin = tables(torch.arange(37), 80)
    fused = normal(32, 37, 7, 80, dtype=dtype)
    together = rope(fused[:, :, 2:5], cos, sin, interleaved=interleaved)
    for batch in (1, 2, 31):
        x = fused[:batch, :, 2:5].contiguous()
        assert torch.equal(rope(x, cos, sin, interleaved=interleaved), together[:batch])
    last = rope(fused[-1:, -1:, 2:5], cos[-1:], sin[-1:], interleaved=interleaved)
    assert torch.equal(last[0, 0], together[-1, -1])


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    x, (cos, sin) = normal(3, 200, 4, 66), tables(torch.arange(200), 66)
    before = torch.get_num_threads()
    found = []
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            found.append(rope(x, cos, sin))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("width", "rotated"), [(64, 64), (80, 80), (96, 40), (6, 6)])
def test_large_outputs_written_around_the_cache(
    dtype: torch.dtype, interleaved: bool, width: int, rotated: int
) -> None:
    # Above half of the last-level cache the kernel takes its streaming paths.
    heads = 5
    length = 36_000_000 // (dtype.itemsize * heads * width) + 1
    x, (cos, sin) = normal(1, length, heads, width, dtype=dtype), tables(torch.arange(9), rotated)
    positions = torch.arange(length).remainder(9)
    got = rope(x, cos, sin, interleaved=interleaved, positions=positions)
    for start in (0, length // 2 - 5, length - 9):
        some = slice(start, start + 9)
        expected = rope(x[:, some], cos, sin, interleaved=interleaved, positions=positions[some])
        assert torch.equal(got[:, some], expected)
    step = length // 7
    for start in range(0, length, step):
        some = slice(start, start + step)
        part = rope(x[:, some], cos, sin, interleaved=interleaved, positions=positions[some])
        assert torch.equal(got[:, some], part)


def test_positions_choose_rows_without_a_gather() -> None:
    x, (cos, sin) = normal(2, 5, 3, 16), tables(torch.arange(50), 16)
    positions = torch.tensor([[0, 49, 7, 7, 1], [3, 2, 1, 0, 48]])
    expected = rope(x, cos[positions], sin[positions])
    assert torch.equal(rope(x, cos, sin, positions=positions), expected)
    assert torch.equal(rope(x[:1], cos, sin, positions=positions[0]), expected[:1])
    packed = rope(x.flatten(0, 1), cos, sin, positions=positions.flatten())
    assert torch.equal(packed, expected.flatten(0, 1))


@pytest.mark.parametrize("at", [-1, 4, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_a_position_without_a_row_is_an_index_error(at: int, backend: str) -> None:
    x, (cos, sin) = normal(1, 2, 1, 8), tables(torch.arange(4), 8)
    for wants_grad in (False, True):
        with use_backend(backend), pytest.raises(IndexError) as raised:
            rope(x.clone().requires_grad_(wants_grad), cos, sin, positions=torch.tensor([0, at]))
        assert str(raised.value) == f"rope: positions must be in [0, 4), got {at}"


def test_the_gradient_has_a_gradient() -> None:
    x, (cos, sin) = normal(1, 3, 2, 8).requires_grad_(), tables(torch.arange(3), 8)
    (dx,) = torch.autograd.grad(rope(x, cos, sin).pow(3).sum(), x, create_graph=True)
    (got,) = torch.autograd.grad(dx.pow(2).sum(), x)
    other = x.detach().clone().requires_grad_()
    (dx,) = torch.autograd.grad(
        SPEC.reference(other, cos, sin).pow(3).sum(), other, create_graph=True
    )
    (expected,) = torch.autograd.grad(dx.pow(2).sum(), other)
    torch.testing.assert_close(got, expected)


def test_scaled_tables_get_the_transposed_gradient() -> None:
    x, (cos, sin) = normal(1, 5, 2, 8).requires_grad_(), tables(torch.arange(5), 8)
    dy = normal(1, 5, 2, 8, seed=1)
    (got,) = torch.autograd.grad(rope(x, 3 * cos, 3 * sin), x, dy)
    torch.testing.assert_close(got, 3 * rope(dy, cos, -sin))


def test_nan_and_infinity_stay_in_their_pair() -> None:
    x, (cos, sin) = torch.ones(1, 1, 1, 64), tables(torch.tensor([3]), 64)
    x[..., 5], x[..., 41] = float("nan"), float("inf")
    finite = rope(x, cos, sin).isfinite().flatten()
    assert (~finite).nonzero().flatten().tolist() == [5, 9, 37, 41]


def test_the_dispatcher_checks_everything_itself() -> None:
    op, nothing = torch.ops.llmcore.rope_no_grad, torch.empty(0, dtype=torch.int64)
    x, (cos, sin) = normal(2, 4, 3, 8), tables(torch.arange(4), 8)
    bad = [
        (x[0, 0], cos, sin, nothing),
        (x[..., :7], cos, sin, nothing),
        (x, cos[:3], sin[:3], nothing),
        (x, cos, sin[:, :2], nothing),
        (x, cos[None, :, :], sin, nothing),
        (x, cos.double(), sin.double(), nothing),
        (x.int(), cos, sin, nothing),
        (x, cos[0, 0], sin, nothing),
        (x, cos.repeat(1, 2), sin.repeat(1, 2), nothing),
        (x, cos, sin, torch.arange(4).int()),
        (x, cos, sin, torch.arange(3)),
        (x, cos, sin, torch.arange(1, 5)),
        (x, cos, sin, torch.arange(8).reshape(2, 2, 2)),
        (x, cos, sin, torch.tensor(0)),
        (x, cos, sin[:3], torch.arange(4)),
    ]
    for args in bad:
        with pytest.raises(RuntimeError, match="rope: .* must be "):
            op(*args, False, False)


def test_float64_is_for_the_reference_alone() -> None:
    x, (cos, sin) = normal(1, 4, 1, 8).double(), tables(torch.arange(4), 8)
    with use_backend("native"), pytest.raises(ValueError, match="got float64"):
        unhooked(rope)(x, cos, sin)
    with use_backend("reference"):
        assert unhooked(rope)(x, cos, sin).dtype == torch.float64

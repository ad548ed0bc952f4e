import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from llmcore.errors import ConfigError, DtypeError, ShapeError
from llmcore.ops import sample
from llmcore.ops.cases import normal
from llmcore.ops.sampling import LogitBias, LogitEdits, Logprobs, Penalties
from llmcore.ops.sampling.arguments import SampleCall
from llmcore.ops.sampling.cases import SPEC, dispatch
from llmcore.ops.sampling.pytorch import sample_logprobs_torch, sample_torch
from llmcore.ops.sampling.reference import sample_reference
from llmcore.ops.sampling.register import sample_logprobs_op, sample_op
from tests.support.check_op import OpChecks, check_registered, tensors_of, unhooked


class TestSampling(OpChecks):
    spec = SPEC


Params = dict[str, Any]
SIX = [3.0, 2.0, 1.0, 0.0, -1.0, -2.0]
DYADIC = torch.tensor([0.5, 0.25, 0.125, 0.125]).log().tolist()


def draw(logits: Tensor, *, num: int = 1, **params: Any) -> list[int]:
    """Draw `num` times from one row of logits, at positions 0, 1, ..."""
    seeds, positions = torch.full((num,), 11), torch.arange(num)
    return sample(logits.expand(num, -1), seeds=seeds, positions=positions, **params).tolist()


def distribution(logits: list[float], **params: Any) -> Tensor:
    """float64 log-probabilities, in order of id, of what is drawn from."""
    zero = torch.zeros(1, dtype=torch.int64)
    everything = Logprobs(num=len(logits), processed=True)
    found = sample(
        torch.tensor([logits]), seeds=zero, positions=zero, logprobs=everything, **params
    )
    return torch.zeros(len(logits)).scatter(0, found.top_ids[0], found.top_logprobs[0]).double()


def kept(logits: list[float], **params: Any) -> set[int]:
    return set((distribution(logits, **params) > -math.inf).nonzero().flatten().tolist())


def history_of(prompt: list[int], output: list[int], **strengths: float) -> LogitEdits:
    lens = torch.tensor([len(prompt)]), torch.tensor([len(prompt) + len(output)])
    tokens = torch.tensor([prompt + output])
    return LogitEdits(
        penalties=Penalties(history=tokens, prompt_lens=lens[0], lens=lens[1], **strengths)
    )


# --- the facts sheet's vectors ------------------------------------------------


@pytest.mark.golden
@pytest.mark.parametrize(
    ("temperature", "logits", "expected"),
    [
        (1.0, SIX, [0.63369132, 0.23312201, 0.08576079, 0.03154963, 0.01160646, 0.00426978]),
        (2.0, SIX, [0.41408544, 0.25115552, 0.15233352, 0.09239495, 0.05604037, 0.0339902]),
        (1.0, [2.0, 1.0, 0.0, -1.0], [0.64391426, 0.23688282, 0.08714432, 0.0320586]),
        (0.5, [2.0, 1.0, 0.0, -1.0], [0.86495488, 0.11705891, 0.0158422, 0.00214401]),
        (2.0, [2.0, 1.0, 0.0, -1.0], [0.45505423, 0.27600434, 0.1674051, 0.10153632]),
    ],
)
def test_temperature(temperature: float, logits: list[float], expected: list[float]) -> None:
    probs = distribution(logits, temperature=temperature).exp()
    assert probs.tolist() == pytest.approx(expected, abs=1e-7)


@pytest.mark.golden
def test_temperature_comes_before_every_truncation() -> None:
    assert kept(SIX, temperature=2.0, top_p=0.9) == {0, 1, 2, 3}
    assert kept(SIX, temperature=2.0, min_p=0.1) == {0, 1, 2, 3, 4}
    assert kept(SIX, temperature=1.0, min_p=0.1) == {0, 1, 2}


@pytest.mark.golden
@pytest.mark.parametrize(("top_k", "expected"), [(2, {0, 1}), (0, {0, 1, 2, 3}), (9, {0, 1, 2, 3})])
def test_exactly_k_are_kept_the_lowest_ids_among_equals(top_k: int, expected: set[int]) -> None:
    assert kept([1.0, 1.0, 1.0, 0.0], top_k=top_k) == expected


@pytest.mark.golden
@pytest.mark.parametrize(
    ("top_p", "expected"),
    [(0.75, {0, 1}), (0.76, {0, 1, 2}), (0.5, {0}), (1e-9, {0}), (1.0, {0, 1, 2, 3})],
)
def test_top_p_keeps_the_smallest_set_that_reaches_it(top_p: float, expected: set[int]) -> None:
    assert kept(DYADIC, top_p=top_p) == expected


@pytest.mark.golden
def test_truncation_renormalises() -> None:
    probs = distribution(DYADIC, top_p=0.75).exp()
    assert probs.tolist() == pytest.approx([2 / 3, 1 / 3, 0, 0], abs=1e-7)
    # Of {0, 1, 2} token 0 has mass .5 / .875 = .571: enough for .55, which .5 alone is not.
    assert kept(DYADIC, top_k=3, top_p=0.55) == {0}
    assert kept(DYADIC, top_p=0.55) == {0, 1}


@pytest.mark.golden
@pytest.mark.parametrize(
    ("typical_p", "expected"),
    [
        (0.19, {1}),
        (0.3, {1, 2}),  # the likeliest token is dropped
        (0.36, {0, 1, 2}),
        (0.86, {0, 1, 2, 3}),
        (0.96, {0, 1, 2, 3, 4}),
    ],
)
def test_typical_orders_by_distance_from_the_entropy(typical_p: float, expected: set[int]) -> None:
    logits = torch.tensor([0.5, 0.2, 0.15, 0.1, 0.05]).log().tolist()
    assert kept(logits, typical_p=typical_p) == expected


@pytest.mark.golden
@pytest.mark.parametrize(
    ("strengths", "expected"),
    [
        ({"repetition": 1.2}, [1.66666667, -1.2, 0.5, 0.0]),
        (
            {"repetition": 1.2, "frequency": 0.5, "presence": 0.4},
            [-0.23333333, -2.1, 0.5, 0.0],
        ),
        ({"frequency": 0.5, "presence": 0.4}, [0.1, -1.9, 0.5, 0.0]),
    ],
)
def test_penalties(strengths: dict[str, float], expected: list[float]) -> None:
    edits = history_of([], [0, 1, 0, 0], **strengths)
    got = distribution([2.0, -1.0, 0.5, 0.0], edits=edits)
    want = torch.tensor(expected, dtype=torch.float64).log_softmax(dim=0)
    assert got.tolist() == pytest.approx(want.tolist(), abs=3e-7)


def test_the_prompt_counts_for_repetition_alone() -> None:
    logits = [2.0, -1.0, 0.5, 0.0]
    got = distribution(logits, edits=history_of([0, 0], [], repetition=1.2))
    want = torch.tensor([2.0 / 1.2, -1.0, 0.5, 0.0]).log_softmax(dim=0)
    assert got.tolist() == pytest.approx(want.tolist(), abs=3e-7)
    untouched = distribution(logits, edits=history_of([0, 0], [], frequency=0.5, presence=0.4))
    assert torch.equal(untouched, distribution(logits))


def test_bias_of_100_bans_and_forces() -> None:
    offsets = torch.tensor([0, 1])
    for value, expected in ((100.0, {2}), (-100.0, {0, 1, 3, 4, 5})):
        bias = LogitBias(ids=torch.tensor([2]), values=torch.tensor([value]), offsets=offsets)
        assert set(draw(torch.tensor([SIX]), num=3000, edits=LogitEdits(bias=bias))) == expected


def test_a_mask_of_bits_equals_one_of_bools() -> None:
    logits, rows = normal(7, 75), torch.arange(7)
    allowed = normal(7, 75, seed=3) > 0.3
    padded = torch.nn.functional.pad(allowed, (0, 21)).long().reshape(7, 3, 32)
    words = (padded << torch.arange(32)).sum(dim=-1)
    words = torch.where(words >= 2**31, words - 2**32, words).int()
    got = [
        sample(logits, seeds=rows, positions=rows, edits=LogitEdits(allowed=mask))
        for mask in (allowed, words)
    ]
    assert torch.equal(got[0], got[1])
    assert allowed.gather(1, got[0][:, None]).all()


def test_greedy_takes_the_lowest_of_equals_after_the_edits() -> None:
    logits = torch.tensor([[0.0, 2.0, 2.0, 2.0]])
    assert draw(logits, temperature=0.0) == [1]
    assert draw(logits, temperature=0.0, edits=history_of([1], [], repetition=2.0)) == [2]
    allowed = LogitEdits(allowed=torch.tensor([[True, False, False, True]]))
    assert draw(logits, temperature=0.0, edits=allowed) == [3]


# --- log-probabilities --------------------------------------------------------


def test_raw_logprobs_are_those_of_the_logits() -> None:
    logits, rows = 3 * normal(5, 300), torch.arange(5)
    options = {"temperature": 0.5, "top_k": 7, "edits": None}
    found = sample(logits, seeds=rows, positions=rows, logprobs=Logprobs(num=20), **options)
    truth = logits.double().log_softmax(dim=-1)
    assert torch.equal(found.ids, sample(logits, seeds=rows, positions=rows, **options))
    torch.testing.assert_close(
        found.logprobs.double(), truth.gather(1, found.ids[:, None])[:, 0], rtol=1e-6, atol=1e-7
    )
    values, ids = truth.topk(20)
    assert torch.equal(found.top_ids, ids)
    torch.testing.assert_close(found.top_logprobs.double(), values, rtol=1e-6, atol=1e-7)
    ranks = 1 + (logits > logits.gather(1, found.ids[:, None])).sum(dim=1)
    assert torch.equal(found.ranks, ranks)


def test_processed_logprobs_sum_to_one_over_what_is_kept() -> None:
    logits, rows = 3 * normal(5, 300), torch.arange(5)
    found = sample(
        logits, seeds=rows, positions=rows, top_k=7, logprobs=Logprobs(num=300, processed=True)
    )
    assert ((found.top_logprobs > -math.inf).sum(dim=1) == 7).all()
    torch.testing.assert_close(found.top_logprobs.double().exp().sum(dim=1), torch.ones(5).double())


# --- the distribution ---------------------------------------------------------

PENALISED = history_of([3, 4], [5, 5, 6], repetition=1.3, frequency=0.4, presence=0.2)
PARAMETER_SETS: list[Params] = [
    {},
    {"temperature": 0.3},
    {"temperature": 0.7},
    {"temperature": 1.5},
    {"temperature": 4.0},
    {"top_k": 1},
    {"top_k": 3},
    {"top_k": 20, "temperature": 0.8},
    {"top_p": 0.3},
    {"top_p": 0.9},
    {"top_p": 0.99, "temperature": 1.3},
    {"min_p": 0.02},
    {"min_p": 0.2, "temperature": 2.0},
    {"typical_p": 0.2},
    {"typical_p": 0.9},
    {"top_k": 30, "top_p": 0.9},
    {"top_k": 30, "top_p": 0.9, "min_p": 0.03, "typical_p": 0.9, "temperature": 1.2},
    {"edits": PENALISED},
    {"edits": PENALISED, "top_k": 20, "top_p": 0.95},
    {"edits": LogitEdits(bias=normal(1, 61, seed=9)), "top_p": 0.9},
    {"edits": LogitEdits(allowed=normal(1, 61, seed=4) > 0), "temperature": 0.9},
]


@pytest.mark.parametrize("params", PARAMETER_SETS, ids=lambda params: "-".join(params) or "plain")
def test_chi_square_of_200k_draws(params: Params, num_draws: int) -> None:
    num, logits = num_draws, 2 * normal(1, 61)
    zero, edits = torch.zeros(1, dtype=torch.int64), params.get("edits")
    reference = sample_reference(
        logits, seeds=zero, positions=zero, logprobs=Logprobs(num=61, processed=True), **params
    )
    probs = torch.zeros(61).scatter(0, reference.top_ids[0], reference.top_logprobs[0].exp())
    if edits is not None and edits.penalties is not None:
        one = edits.penalties
        rows = {"history": one.history.expand(num, -1), "lens": one.lens.expand(num)}
        rows["prompt_lens"] = one.prompt_lens.expand(num)
        edits = LogitEdits(penalties=replace(one, **rows))
    seeds, positions = torch.arange(num), torch.arange(num) % 1000
    ids = sample(
        logits.expand(num, -1), seeds=seeds, positions=positions, **(params | {"edits": edits})
    )
    counts = torch.bincount(ids, minlength=61).double()
    mean = probs.double() * num
    assert counts[mean == 0].sum() == 0
    is_rare = (mean > 0) & (mean < 5)
    mean = torch.cat((mean[mean >= 5], mean[is_rare].sum()[None]))
    counts = torch.cat((counts[probs.double() * num >= 5], counts[is_rare].sum()[None]))
    counts, mean = counts[mean > 0], mean[mean > 0]
    statistic = ((counts - mean) ** 2 / mean).sum()
    freedom = torch.tensor((len(mean) - 1) / 2, dtype=torch.float64)
    if len(mean) > 1:
        assert torch.special.gammaincc(freedom, statistic / 2) >= 1e-4
    else:
        assert statistic < 1e-6


# --- invariance ---------------------------------------------------------------


def rows_of(call: Params, logits: Tensor, rows: Tensor) -> list[Tensor]:
    """The outputs for some of the rows; per-row arguments are cut as the logits are."""

    def cut(value: Any) -> Any:
        return value[rows] if isinstance(value, Tensor) else value

    edits = call["edits"]
    penalties = edits.penalties
    names = ("history", "prompt_lens", "lens", "repetition")
    cut_penalties = replace(penalties, **{name: cut(getattr(penalties, name)) for name in names})
    cut_edits = LogitEdits(allowed=cut(edits.allowed), penalties=cut_penalties)
    changed = {key: cut(value) for key, value in call.items()} | {"edits": cut_edits}
    return tensors_of(sample(logits[rows], **changed))


@pytest.mark.parametrize("vocab_size", [101, 50_257])
def test_a_row_is_the_same_alone_in_any_batch_and_on_any_threads(vocab_size: int) -> None:
    num_rows = 32
    every = torch.arange(num_rows)
    logits = 2 * normal(num_rows, vocab_size, dtype=torch.bfloat16)
    penalties = Penalties(
        history=torch.arange(num_rows * 9).reshape(num_rows, 9) % vocab_size,
        prompt_lens=every % 4,
        lens=4 + every % 6,
        repetition=1.0 + every / 32,
        presence=0.3,
    )
    call: Params = {
        "seeds": every * 77 - 5,
        "positions": every * 3,
        "temperature": torch.tensor([0.0, 0.6, 1.0, 1.4] * 8),
        "top_k": torch.tensor([0, 40, 0, 5000] * 8),
        "top_p": torch.tensor([0.9, 1.0, 0.95, 0.8, 1.0, 1.0, 0.999, 0.2] * 4),
        "min_p": torch.tensor([0.0, 0.0, 0.01] * 10 + [0.0, 0.1]),
        "typical_p": torch.tensor([1.0] * 6 + [0.7, 1.0] + [1.0] * 24),
        "edits": LogitEdits(allowed=normal(num_rows, vocab_size) > -1, penalties=penalties),
        "logprobs": Logprobs(num=5),
    }
    before = torch.get_num_threads()
    together = rows_of(call, logits, every)
    order = torch.randperm(num_rows, generator=torch.Generator().manual_seed(1))
    groups = [every[row : row + 1] for row in every] + [every[8:16], every[1:6], order]
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            for rows in groups:
                for alone, whole in zip(rows_of(call, logits, rows), together, strict=True):
                    assert torch.equal(alone, whole[rows])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", SPEC.dtypes, ids=str)
def test_the_pytorch_form_is_exact_too(dtype: torch.dtype) -> None:
    """What CUDA runs, here on the CPU."""
    for case in SPEC.cases(dtype):
        call = SampleCall(*dispatch(*case.args, **case.kwargs))
        logprobs = case.kwargs.get("logprobs")
        if logprobs is None:
            got: Any = sample_torch(call)
        else:
            got = sample_logprobs_torch(call, logprobs.num, logprobs.processed)
        expected = tensors_of(SPEC.reference(*case.args, **case.kwargs))
        pairs = zip(tensors_of(got), expected, strict=True)
        assert all(torch.equal(a, b) for a, b in pairs), case.name


# --- odd calls ----------------------------------------------------------------


def test_a_row_without_a_token_to_draw_gives_minus_one() -> None:
    logits = torch.tensor([[1.0, 2.0], [-math.inf, math.nan], [math.inf, 1.0]])
    rows = torch.arange(3)
    for temperature in (0.0, 1.0):
        found = sample(
            logits, seeds=rows, positions=rows, temperature=temperature, logprobs=Logprobs(num=2)
        )
        assert found.ids[1] == -1 and found.ids[0] >= 0 and found.ids[2] == 0
        assert found.logprobs[1] == -math.inf and found.ranks[1] == 0
        assert found.top_ids[1].tolist() == [0, 1]


def test_history_past_a_rows_length_is_not_read() -> None:
    edits = LogitEdits(
        penalties=Penalties(
            history=torch.tensor([[1, -5, 99]]),
            prompt_lens=torch.tensor([0]),
            lens=torch.tensor([1]),
            presence=0.5,
        )
    )
    draw(torch.zeros(1, 4), edits=edits)


@pytest.mark.parametrize("name", ["bias id", "history id", "lens", "offsets"])
def test_a_bad_id_or_length_is_named(name: str) -> None:
    case = next(case for case in SPEC.wrong() if case.name == name)
    argument = "logit_bias" if name in ("bias id", "offsets") else "history"
    with pytest.raises(ConfigError, match=f"^sample: {argument} must be .*got"):
        sample(*case.args, **case.kwargs)


def test_logits_that_require_a_gradient_are_only_read() -> None:
    logits = normal(2, 9).requires_grad_()
    rows = torch.arange(2)
    found = sample(logits, seeds=rows, positions=rows, logprobs=Logprobs())
    assert not found.logprobs.requires_grad


def test_the_op_with_logprobs_is_registered() -> None:
    case = next(case for case in SPEC.cases(torch.float32) if case.name == "raw logprobs")
    arguments = (*dispatch(*case.args, **case.kwargs), 5, False)
    torch.library.opcheck(sample_logprobs_op, arguments)
    with_edits = next(case for case in SPEC.cases(torch.float32) if case.name == "all edits")
    check_registered(SPEC, with_edits)


def garbage() -> list[tuple[str, tuple[Any, ...]]]:
    logits, rows, numbers = normal(3, 9), torch.arange(3), [1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    none = torch.empty(0)
    wrong_top_k = torch.tensor([numbers, numbers, [1.0, -2.0, *numbers[2:]]], dtype=torch.float64)

    def extras(**changes: Tensor) -> list[Tensor]:
        names = ("params", "allowed", "bias", "ids", "offsets", "history", "prompt_lens", "lens")
        return [changes.get(name, none) for name in names]

    return [
        ("logits", (logits[0], rows, rows, numbers, [])),
        ("logits", (logits.long(), rows, rows, numbers, [])),
        ("logits", (logits.double(), rows, rows, numbers, [])),
        ("seeds", (logits, rows[:2], rows, numbers, [])),
        ("positions", (logits, rows, rows.float(), numbers, [])),
        ("params", (logits, rows, rows, numbers[:5], [])),
        ("extras", (logits, rows, rows, numbers, [none])),
        ("top_p", (logits, rows, rows, [1.0, 0.0, math.nan, 0.0, 1.0, 1.0, 0.0, 0.0], [])),
        ("temperature", (logits, rows, rows, [math.inf, *numbers[1:]], [])),
        ("params", (logits, rows, rows, numbers, extras(params=normal(3, 7)))),
        ("top_k", (logits, rows, rows, numbers, extras(params=wrong_top_k))),
        ("allowed", (logits, rows, rows, numbers, extras(allowed=normal(3, 9)))),
        ("logit_bias", (logits, rows, rows, numbers, extras(bias=normal(9)))),
        ("logit_bias", (logits, rows, rows, numbers, extras(bias=normal(3), offsets=rows))),
        ("history", (logits, rows, rows, numbers, extras(history=rows[:, None]))),
        (
            "history",
            (
                logits,
                rows,
                rows,
                numbers,
                extras(history=rows[:, None], lens=rows, prompt_lens=rows),
            ),
        ),
    ]


@pytest.mark.parametrize("idx", range(16))
def test_the_native_door_refuses_garbage(idx: int) -> None:
    argument, arguments = garbage()[idx]
    with pytest.raises(RuntimeError, match=f"sample: {argument} must be"):
        sample_op(*arguments)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"top_p": torch.ones(4)}, ShapeError),
        ({"edits": LogitEdits(allowed=torch.ones(3, 9, dtype=torch.int64))}, DtypeError),
        ({"edits": LogitEdits(bias=torch.ones(3, 9, dtype=torch.float64))}, DtypeError),
    ],
)
def test_shapes_and_dtypes_are_named(change: Params, error: type[Exception]) -> None:
    rows = torch.arange(3)
    with pytest.raises(error, match=r"^sample: .* must be .*got"):
        unhooked(sample)(normal(3, 9), seeds=rows, positions=rows, **change)

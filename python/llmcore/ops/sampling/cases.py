"""Sample inputs of sample: each step alone and together, ties, odd vocabularies, bad values."""

from typing import Any

import torch
from torch import Tensor

from llmcore.errors import ConfigError, DtypeError, ShapeError
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.sampling import LogitBias, LogitEdits, Logprobs, Penalties, sample
from llmcore.ops.sampling.arguments import pack
from llmcore.ops.sampling.reference import sample_reference

Call = dict[str, Any]


def _rows(num_rows: int) -> Call:
    rows = torch.arange(num_rows)
    return {"seeds": rows * 1000003 - 5, "positions": rows + 2**33}


def _case(name: str, logits: Tensor, **params: Any) -> OpCase:
    kwargs = {"temperature": 0.8, "top_k": 0, "top_p": 1.0} | params | _rows(logits.shape[0])
    return OpCase(name=name, args=(logits,), kwargs=kwargs)


def _penalties(num_rows: int, vocab_size: int, **strengths: Any) -> Penalties:
    """Histories of 0 to 12 tokens, of which the first third are the prompt."""
    generator = torch.Generator().manual_seed(5)
    lens = torch.arange(num_rows) % 13
    history = torch.randint(min(vocab_size, 8), (num_rows, 12), generator=generator)
    return Penalties(history=history, prompt_lens=lens // 3, lens=lens, **strengths)


def _sparse_bias(num_rows: int, vocab_size: int) -> LogitBias:
    """Row n has n % 3 entries."""
    counts = torch.arange(num_rows) % 3
    offsets = torch.cat((torch.zeros(1, dtype=torch.int64), counts.cumsum(0)))
    ids = torch.arange(int(offsets[-1])) * 7 % vocab_size
    return LogitBias(ids=ids, values=3 * normal(len(ids)), offsets=offsets)


def _mixed(num_rows: int) -> Call:
    """Another set of parameters for every row."""

    def cycle(*values: float) -> Tensor:
        return torch.tensor([values[row % len(values)] for row in range(num_rows)])

    return {
        "temperature": cycle(0.0, 0.7, 1.0, 1.5, 100.0),
        "top_k": cycle(0.0, 5.0, 40.0).long(),
        "top_p": cycle(1.0, 0.9, 0.5, 1e-9),
        "min_p": cycle(0.0, 0.1),
        "typical_p": cycle(1.0, 1.0, 0.6),
    }


def _packed_bits(num_rows: int, vocab_size: int) -> Tensor:
    """Every third word full, the others random."""
    words = (vocab_size + 31) // 32
    generator = torch.Generator().manual_seed(6)
    bits = torch.randint(-(2**31), 2**31, (num_rows, words), generator=generator)
    bits[:, ::3] = -1
    return bits.int()


def cases(dtype: torch.dtype) -> list[OpCase]:
    return _truncations(dtype) + _edits(dtype) + _logprobs(dtype) + _odd(dtype)


def _truncations(dtype: torch.dtype) -> list[OpCase]:
    small, wide = 2 * normal(31, 65, dtype=dtype), 2 * normal(9, 4099, dtype=dtype)
    shared = {"temperature": 1.0, "top_k": 400, "top_p": 0.9, "min_p": 0.01, "typical_p": 0.9}
    return [
        _case("one", normal(1, 1, dtype=dtype)),
        _case("plain", 2 * normal(33, 31, dtype=dtype)),
        _case("mixed", 2 * normal(33, 257, dtype=dtype), **_mixed(33)),
        _case("greedy", small, temperature=0.0),
        _case("cold", small, temperature=1e-3),
        _case("hot", small, temperature=1e6),
        _case("top k", small, top_k=5),
        _case("large k", wide, top_k=1500),
        _case("wide k", small, top_k=100),
        _case("top p", small, top_p=0.7),
        _case("top p of many", wide, top_p=0.999),
        _case("tiny top p", small, top_p=1e-12),
        _case("top k and p", wide, top_k=50, top_p=0.9),
        _case("min p", wide, min_p=0.05),
        _case("tiny min p", wide, min_p=1e-14),
        _case("typical", wide, typical_p=0.5),
        _case("all truncations", wide, **shared),
    ]


def _edits(dtype: torch.dtype) -> list[OpCase]:
    logits = 2 * normal(13, 99, dtype=dtype)
    allowed = normal(13, 99) > 0.5
    strong = _penalties(13, 99, repetition=1.3, frequency=0.5, presence=0.4)
    output_only = _penalties(13, 99, frequency=-0.7)
    per_row = _penalties(13, 99, repetition=1 + normal(13).abs(), presence=normal(13))
    bits, dense, sparse = _packed_bits(13, 99), normal(13, 99, seed=1), _sparse_bias(13, 99)
    every = LogitEdits(allowed=allowed, bias=sparse, penalties=strong)
    return [
        _case("allowed", logits, edits=LogitEdits(allowed=allowed)),
        _case("allowed for all rows", logits, edits=LogitEdits(allowed=allowed[:1])),
        _case("allowed bits", logits, edits=LogitEdits(allowed=bits)),
        _case("dense bias", logits, edits=LogitEdits(bias=dense)),
        _case("sparse bias", logits, edits=LogitEdits(bias=sparse)),
        _case("penalties", logits, edits=LogitEdits(penalties=strong)),
        _case("penalties of the output", logits, edits=LogitEdits(penalties=output_only)),
        _case("penalties per row", logits, edits=LogitEdits(penalties=per_row)),
        _case("all edits", logits, edits=every, top_k=20, top_p=0.9),
        _case("greedy after edits", logits, edits=every, temperature=0.0),
    ]


def _logprobs(dtype: torch.dtype) -> list[OpCase]:
    logits = 2 * normal(13, 99, dtype=dtype)
    penalties = _penalties(13, 99, repetition=1.3)
    shared = {"top_k": 30, "typical_p": 0.8, "edits": LogitEdits(penalties=penalties)}
    return [
        _case("raw logprobs", logits, logprobs=Logprobs(num=5), **shared),
        _case("processed", logits, logprobs=Logprobs(num=40, processed=True), **shared),
        _case("all logprobs", logits, temperature=1.0, logprobs=Logprobs(num=99)),
        _case("greedy logprobs", logits, temperature=0.0, logprobs=Logprobs(num=3)),
        _case("mixed logprobs", logits, **_mixed(13), logprobs=Logprobs(num=3, processed=True)),
    ]


def _odd(dtype: torch.dtype) -> list[OpCase]:
    ties = normal(9, 100, dtype=dtype).round()
    bad = 2 * normal(5, 70, dtype=dtype)
    bad[0, 3], bad[1, 4] = float("nan"), float("inf")
    bad[2] = float("-inf")
    bad[3, 5:] = float("-inf")
    wide = 2 * normal(6, 96, dtype=dtype)
    logprobs = Logprobs(num=8)
    return [
        _case("ties", ties, top_k=20, top_p=0.6, typical_p=0.5),
        _case("all equal", torch.zeros_like(ties), top_k=20, top_p=0.6),
        _case("not finite", bad, top_k=10, top_p=0.9, typical_p=0.9, logprobs=logprobs),
        _case("not finite, greedy", bad, temperature=0.0, logprobs=logprobs),
        _case("sliced", wide[:, 24:72], top_k=9),
        _case("every other", wide[:, ::2], top_p=0.9),
        _case("transposed", normal(48, 9, dtype=dtype).t(), top_p=0.9),
        _case("repeated", wide[:1].expand(6, -1)),
        _case("no rows", wide[:0], logprobs=logprobs),
    ]


def wrong() -> list[WrongCase]:
    call = _case("", normal(3, 9))
    logits, rows = call.args[0], torch.arange(3)
    ragged = LogitBias(ids=rows, values=normal(3), offsets=torch.tensor([0, 2, 1, 3]))
    far = LogitBias(ids=rows + 7, values=normal(3), offsets=torch.tensor([0, 3]))
    long_, outside = _penalties(3, 9, presence=0.1), _penalties(3, 9, repetition=2.0)
    long_.lens[2] = 13
    outside.history[2, 0] = 9
    edits = {
        "allowed": LogitEdits(allowed=normal(2, 9) > 0),
        "bits": LogitEdits(allowed=torch.zeros(3, 2, dtype=torch.int32)),
        "bias": LogitEdits(bias=normal(3, 8)),
        "offsets": LogitEdits(bias=ragged),
        "bias id": LogitEdits(bias=far),
        "lens": LogitEdits(penalties=long_),
        "history id": LogitEdits(penalties=outside),
        "repetition": LogitEdits(penalties=_penalties(3, 9, repetition=0.0)),
    }
    shapes = ("allowed", "bits", "bias")
    changes: list[tuple[str, Call, type[Exception]]] = [
        ("seeds", {"seeds": torch.arange(2)}, ShapeError),
        ("dtype", {"positions": rows.int()}, DtypeError),
        ("temperature", {"temperature": -1.0}, ConfigError),
        ("temperatures", {"temperature": torch.tensor([1.0, float("nan"), 1.0])}, ConfigError),
        ("top k", {"top_k": -1}, ConfigError),
        ("half a token", {"top_k": 0.5}, ConfigError),
        ("top ks", {"top_k": torch.arange(4)}, ShapeError),
        ("top p", {"top_p": 0.0}, ConfigError),
        ("min p", {"min_p": 1.5}, ConfigError),
        ("typical p", {"typical_p": 0.0}, ConfigError),
        ("logprobs", {"logprobs": Logprobs(num=10)}, ConfigError),
    ]
    for name, edit in edits.items():
        changes.append((name, {"edits": edit}, ShapeError if name in shapes else ConfigError))
    found = [
        WrongCase(name=name, args=(logits,), kwargs=call.kwargs | change, error=error)
        for name, change, error in changes
    ]
    found.append(WrongCase(name="rank", args=(logits[0],), kwargs=call.kwargs, error=ShapeError))
    return found


def dispatch(logits: Tensor, **kwargs: Any) -> tuple[Any, ...]:
    """The arguments of `llmcore::sample` for those of the public call."""
    defaults = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0}
    truncation = tuple(kwargs.get(name, default) for name, default in defaults.items())
    rows = (kwargs["seeds"], kwargs["positions"])
    return tuple(pack(logits, *rows, truncation, kwargs.get("edits")))


SPEC = OpSpec(
    name="sample",
    source="sampling",
    public=sample,
    reference=sample_reference,
    cases=cases,
    wrong=wrong,
    dispatcher=dispatch,
    exact=True,
)

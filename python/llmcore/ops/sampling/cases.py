"""Sample inputs of sample: each truncation alone and together, ties, odd vocabularies."""

from typing import Any

import torch

from llmcore.errors import ConfigError, DtypeError, ShapeError
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.sampling import sample
from llmcore.ops.sampling.reference import sample_reference


def _call(num_rows: int, vocab_size: int, dtype: torch.dtype, **changes: Any) -> dict[str, Any]:
    params = {"temperature": 0.8, "top_k": 0, "top_p": 1.0} | changes
    rows = torch.arange(num_rows)
    return {
        "args": (2 * normal(num_rows, vocab_size, dtype=dtype),),
        "kwargs": params | {"seeds": rows * 1000003 - 5, "positions": rows + 2**33},
    }


def cases(dtype: torch.dtype) -> list[OpCase]:
    return [
        OpCase(name="one", **_call(1, 1, dtype)),
        OpCase(name="plain", **_call(33, 31, dtype)),
        OpCase(name="greedy", **_call(5, 33, dtype, temperature=0.0)),
        OpCase(name="top k", **_call(31, 65, dtype, top_k=5)),
        OpCase(name="top p", **_call(31, 65, dtype, top_p=0.7)),
        OpCase(name="both", **_call(31, 4099, dtype, top_k=50, top_p=0.9)),
        OpCase(name="wide k", **_call(3, 33, dtype, top_k=100)),
        OpCase(name="empty", **_call(0, 33, dtype)),
    ]


def wrong() -> list[WrongCase]:
    call = _call(3, 9, torch.float32)
    logits, kwargs = call["args"][0], call["kwargs"]
    changes: list[tuple[str, dict[str, Any], type[Exception]]] = [
        ("seeds", {"seeds": torch.arange(2)}, ShapeError),
        ("dtype", {"positions": torch.arange(3).int()}, DtypeError),
        ("temperature", {"temperature": -1.0}, ConfigError),
        ("top p", {"top_p": 0.0}, ConfigError),
        ("top k", {"top_k": -1}, ConfigError),
    ]
    found = [
        WrongCase(name=name, args=(logits,), kwargs=kwargs | change, error=error)
        for name, change, error in changes
    ]
    found.append(WrongCase(name="rank", args=(logits[0],), kwargs=kwargs, error=ShapeError))
    return found


SPEC = OpSpec(
    name="sample",
    public=sample,
    reference=sample_reference,
    cases=cases,
    wrong=wrong,
    dispatcher=lambda logits, *, temperature, top_k, top_p, seeds, positions: (
        logits,
        temperature,
        top_k,
        top_p,
        seeds,
        positions,
    ),
    exact=True,
)

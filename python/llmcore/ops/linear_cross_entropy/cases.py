"""Sample inputs of linear_cross_entropy: odd sizes, chunks, every option, ignored labels."""

from typing import Any

import torch
from torch import Tensor

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.linear_cross_entropy import linear_cross_entropy
from llmcore.ops.linear_cross_entropy.reference import linear_cross_entropy_reference
from llmcore.shapes import IGNORE_INDEX


def _inputs(n: int, c: int, v: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    labels = torch.randint(v, (n,), generator=generator)
    if dtype != torch.float32:  # logits that bfloat16 holds exactly, as losses are float32
        return normal(n, c, dtype=dtype).sign(), _quarters(v, c, dtype=dtype, seed=1), labels
    return normal(n, c, dtype=dtype), normal(v, c, dtype=dtype, seed=1) / 4, labels


def _quarters(*shape: int, dtype: torch.dtype, seed: int) -> Tensor:
    return (2 * normal(*shape, seed=seed)).round().clamp(-4, 4).to(dtype) / 4


def cases(dtype: torch.dtype) -> list[OpCase]:
    shapes = [(1, 1, 1), (70, 48, 131), (5, 32, 4099)]
    if dtype == torch.float32:  # PyTorch's small bfloat16 products round otherwise than its large
        shapes += [(5, 9, 31), (33, 16, 33)]
    found = [OpCase(name=f"{n}x{c}x{v}", args=_inputs(n, c, v, dtype)) for n, c, v in shapes]
    hidden, weight, labels = _inputs(300, 24, 65, dtype)
    labels[::3] = IGNORE_INDEX
    args = (hidden, weight, labels)
    bias = _quarters(65, dtype=dtype, seed=2)
    token_weights = normal(300, seed=3).abs()
    found.append(OpCase(name="two chunks", args=args))
    found.append(OpCase(name="bias", args=args, kwargs={"bias": bias}))
    found.append(OpCase(name="weighted", args=args, kwargs={"token_weights": token_weights}))
    options = {"label_smoothing": 0.1, "z_loss": 1e-3, "softcap": 3.0}
    found.append(OpCase(name="all", args=args, kwargs=options | {"bias": bias}))
    turned = normal(24, 40, dtype=dtype).sign().t()
    strided = (turned, _quarters(65, 48, dtype=dtype, seed=1)[:, 5:29], labels[:40])
    found.append(OpCase(name="strided", args=strided))
    found.append(OpCase(name="empty", args=(hidden[:0], weight, labels[:0])))
    return found


def wrong() -> list[WrongCase]:
    hidden, weight, labels = _inputs(4, 3, 9, torch.float32)
    args = (hidden, weight, labels)
    return [
        WrongCase(name="rank", args=(hidden[0], weight, labels), error=ShapeError),
        WrongCase(name="width", args=(hidden, weight[:, :2], labels), error=ShapeError),
        WrongCase(name="length", args=(hidden, weight, labels[:3]), error=ShapeError),
        WrongCase(name="bias", args=args, kwargs={"bias": weight[:, :2]}, error=ShapeError),
        WrongCase(
            name="weights", args=args, kwargs={"token_weights": torch.ones(3)}, error=ShapeError
        ),
        WrongCase(name="labels", args=(hidden, weight, labels.int()), error=DtypeError),
        WrongCase(name="dtype", args=(hidden, weight.bfloat16(), labels), error=DtypeError),
        WrongCase(name="label", args=(hidden, weight, labels + 9), error=IndexError),
    ]


def _dispatcher(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    *,
    bias: Tensor | None = None,
    token_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float = 0.0,
) -> tuple[Any, ...]:
    added = hidden.new_empty(0) if bias is None else bias
    return (hidden, weight, labels, added, IGNORE_INDEX, label_smoothing, z_loss, softcap)


SPEC = OpSpec(
    name="linear_cross_entropy",
    public=linear_cross_entropy,
    reference=linear_cross_entropy_reference,
    grads=(0, 1, "bias"),
    cases=cases,
    wrong=wrong,
    dispatcher=_dispatcher,
    dtypes=(torch.float32, torch.bfloat16),
)

"""Sample inputs of cross_entropy: odd vocabularies, ignored labels, smoothing, large logits."""

from typing import Any

import torch
from torch import Tensor

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal
from llmcore.ops.cross_entropy import cross_entropy
from llmcore.ops.cross_entropy.reference import cross_entropy_reference
from llmcore.shapes import IGNORE_INDEX


def _inputs(num_tokens: int, vocab_size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(num_tokens)
    labels = torch.randint(vocab_size, (num_tokens,), generator=generator)
    return 3 * normal(num_tokens, vocab_size, dtype=dtype), labels


def cases(dtype: torch.dtype) -> list[OpCase]:
    found = [
        OpCase(name=f"{n}x{v}", args=_inputs(n, v, dtype))
        for n, v in [(1, 1), (5, 31), (33, 33), (3, 4099)]
    ]
    logits, labels = _inputs(17, 65, dtype)
    labels[::3] = IGNORE_INDEX
    found.append(OpCase(name="ignored", args=(logits, labels)))
    found.append(OpCase(name="smooth", args=(logits, labels), kwargs={"label_smoothing": 0.1}))
    found.append(OpCase(name="z-loss", args=(logits, labels), kwargs={"z_loss": 1e-2}))
    found.append(OpCase(name="softcap", args=(10 * logits, labels), kwargs={"softcap": 30.0}))
    both = {"label_smoothing": 0.2, "z_loss": 1e-3, "softcap": 5.0}
    found.append(OpCase(name="all", args=_inputs(7, 2051, dtype), kwargs=both))
    found.append(OpCase(name="large", args=(100 * logits, labels)))
    masked = logits.clone()
    masked[:, 5:60] = -torch.inf
    found.append(OpCase(name="masked", args=(masked, labels.clamp(max=4))))
    wide = 3 * normal(17, 130, dtype=dtype)
    found.append(OpCase(name="sliced", args=(wide[:, 3:68], labels)))
    found.append(OpCase(name="transposed", args=(normal(65, 17, dtype=dtype).t(), labels)))
    found.append(OpCase(name="empty", args=(logits[:0], labels[:0])))
    return found


def wrong() -> list[WrongCase]:
    logits, labels = _inputs(4, 9, torch.float32)
    return [
        WrongCase(name="rank", args=(logits[0], labels), error=ShapeError),
        WrongCase(name="length", args=(logits, labels[:3]), error=ShapeError),
        WrongCase(name="dtype", args=(logits, labels.int()), error=DtypeError),
        WrongCase(name="label", args=(logits, labels + 9), error=IndexError),
    ]


def _dispatcher(
    logits: Tensor,
    labels: Tensor,
    *,
    ignore_index: int = IGNORE_INDEX,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float = 0.0,
) -> tuple[Any, ...]:
    return (logits, labels, ignore_index, label_smoothing, z_loss, softcap)


SPEC = OpSpec(
    name="cross_entropy",
    public=cross_entropy,
    reference=cross_entropy_reference,
    grads=(0,),
    cases=cases,
    wrong=wrong,
    dispatcher=_dispatcher,
)

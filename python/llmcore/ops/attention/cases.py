"""Sample inputs of attention: GQA, cached lengths, document masks, fully masked rows, odd sizes."""

import torch
from torch import Tensor

from llmcore.errors import DtypeError, ShapeError
from llmcore.ops.attention import attention
from llmcore.ops.attention.reference import attention_reference
from llmcore.ops.cases import OpCase, OpSpec, WrongCase, normal


def _qkv(
    batch: int, num_queries: int, num_keys: int, *, heads: tuple[int, int], dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    width = 8
    return (
        normal(batch, num_queries, heads[0], width, dtype=dtype),
        normal(batch, num_keys, heads[1], width, dtype=dtype, seed=1),
        normal(batch, num_keys, heads[1], width, dtype=dtype, seed=2),
    )


def documents(batch: int, length: int, num_documents: int) -> Tensor:
    """Mask (B, T, T) that keeps pairs within one document, as packing makes it."""
    generator = torch.Generator().manual_seed(length)
    ids = torch.randint(num_documents, (batch, length), generator=generator).sort(dim=1).values
    return ids.unsqueeze(2) == ids.unsqueeze(1)


def cases(dtype: torch.dtype) -> list[OpCase]:
    found = [
        OpCase(name="one", args=_qkv(1, 1, 1, heads=(1, 1), dtype=dtype)),
        OpCase(name="causal", args=_qkv(2, 33, 33, heads=(4, 2), dtype=dtype)),
        OpCase(
            name="full", args=_qkv(2, 31, 33, heads=(2, 2), dtype=dtype), kwargs={"causal": False}
        ),
        OpCase(name="decode", args=_qkv(3, 1, 65, heads=(4, 1), dtype=dtype)),
        OpCase(name="chunk", args=_qkv(2, 5, 37, heads=(6, 3), dtype=dtype)),
        OpCase(name="more queries", args=_qkv(1, 7, 4, heads=(2, 1), dtype=dtype)),
        OpCase(name="scale", args=_qkv(1, 9, 9, heads=(2, 2), dtype=dtype), kwargs={"scale": 0.7}),
        OpCase(name="empty", args=_qkv(2, 0, 3, heads=(2, 1), dtype=dtype)),
    ]
    masked = _qkv(2, 35, 35, heads=(4, 2), dtype=dtype)
    mask = documents(2, 35, 4)
    found.append(OpCase(name="documents", args=masked, kwargs={"mask": mask}))
    padded = mask.clone()
    padded[1, 20:] = False
    found.append(OpCase(name="padded rows", args=masked, kwargs={"mask": padded}))
    fused = normal(2, 12, 8, 8, dtype=dtype)
    found.append(OpCase(name="sliced", args=(fused[:, :, :4], fused[:, :, 4:6], fused[:, :, 6:])))
    return found


def wrong() -> list[WrongCase]:
    q, k, v = _qkv(2, 5, 5, heads=(4, 2), dtype=torch.float32)
    mask = documents(2, 5, 2)
    return [
        WrongCase(name="rank", args=(q[0], k, v), error=ShapeError),
        WrongCase(name="heads", args=(q[:, :, :3], k, v), error=ShapeError),
        WrongCase(name="values", args=(q, k, v[:, :4]), error=ShapeError),
        WrongCase(name="dtype", args=(q, k.half(), v), error=DtypeError),
        WrongCase(name="mask", args=(q, k, v), kwargs={"mask": mask[:, :4]}, error=ShapeError),
        WrongCase(
            name="mask type", args=(q, k, v), kwargs={"mask": mask.float()}, error=DtypeError
        ),
    ]


def _dispatcher(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = True,
    mask: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, bool, float | None]:
    return (q, k, v, mask, causal, scale)


SPEC = OpSpec(
    name="attention",
    public=attention,
    reference=attention_reference,
    grads=(0, 1, 2),
    cases=cases,
    wrong=wrong,
    dispatcher=_dispatcher,
)

"""The form of an op's sample inputs, shared by its test, opcheck and benchmark."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

LOW_PRECISION = (torch.bfloat16, torch.float16)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpCase:
    """One call of an op: positional arguments, keyword arguments, and its name in test ids."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class WrongCase:
    """A call that must raise `error` at the public door."""

    name: str
    args: tuple[Any, ...]
    error: type[Exception]
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpSpec:
    """All that the shared harnesses need to know of one op."""

    name: str
    public: Callable[..., Any]
    reference: Callable[..., Any]
    cases: Callable[[torch.dtype], list[OpCase]]
    wrong: Callable[[], list[WrongCase]]
    dispatcher: Callable[..., tuple[Any, ...]] | None = None
    """(args, kwargs) of the public call -> arguments of the registered op."""
    registered: str = ""
    """Name of the registered op, `llmcore::...`, for opcheck; empty: `llmcore::<name>`."""
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.bfloat16, torch.float16)
    grads: tuple[int | str, ...] = ()
    """Positions or keywords of the arguments that have a gradient, where a case passes them."""
    source: str = ""
    """Stem of the kernel's files in csrc/; empty: `name`."""
    exact: bool = False
    """Outputs must equal the reference bit for bit (integer outputs)."""


def normal(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    """Draw standard normal numbers from an own generator, so that a case never changes."""
    generator = torch.Generator().manual_seed(seed + 7919 * sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float32).to(dtype)

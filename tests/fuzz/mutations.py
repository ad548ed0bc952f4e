"""Random changes of an op's arguments: layouts that keep the values, and values that break rules.

Everything draws from a `random.Random`, so that a seed gives the same call again.
"""

import random
from typing import Any

import torch
from torch import Tensor

FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
DTYPES = (
    *FLOATS,
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    torch.complex64,
)
SIZES = (0, 0, 1, 1, 2, 3, 5, 8, 16, 17, 33, 64)
# Small enough to be served or so large that no allocator tries.
INTEGERS = (0, 1, -1, 2, 3, 7, 16, 64, -100, 2**31 - 1, 2**31, -(2**31), 2**62, 2**63 - 1, -(2**63))
NUMBERS = (0.0, 1.0, -1.0, 0.5, 1e-45, 1e-6, 2.0, 1e4, float("nan"), float("inf"), -float("inf"))
SPECIALS = (float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e-42, 100.0, -100.0)


def with_layout(rng: random.Random, tensor: Tensor) -> Tensor:
    """A copy with the same values in other memory: transposed, strided, padded or misaligned."""
    tensor = tensor.detach().clone()
    kind = rng.choice(("as it is", "transposed", "strided", "padded", "misaligned"))
    if tensor.dim() == 0 or tensor.is_complex():
        return tensor
    axis = rng.randrange(tensor.dim())
    if kind == "transposed":
        return tensor.transpose(axis, -1).contiguous().transpose(axis, -1)
    if kind in ("strided", "padded"):
        step = 2 if kind == "strided" else 1
        sizes = list(tensor.shape)
        sizes[axis] = step * sizes[axis] + 1
        wide = tensor.new_zeros(sizes)
        view = wide.narrow(axis, 1, sizes[axis] - 1)
        view = view.unflatten(axis, (-1, 2)).select(axis + 1, 0) if step == 2 else view
        return view.copy_(tensor)
    if kind == "misaligned":
        buffer = tensor.new_zeros(tensor.numel() + 1)
        return buffer[1:].view(tensor.shape).copy_(tensor)
    return tensor


def _expanded(rng: random.Random, tensor: Tensor) -> Tensor:
    """One entry of an axis for all of them: stride 0."""
    if tensor.dim() == 0 or tensor.numel() == 0:
        return tensor.expand(2, *tensor.shape)
    axis = rng.randrange(tensor.dim())
    return tensor.narrow(axis, 0, 1).expand(tensor.shape)


def _reshaped(rng: random.Random, tensor: Tensor) -> Tensor:
    kind = rng.choice(("shorter", "empty", "axis more", "axis less", "flat", "scalar", "longer"))
    if tensor.dim() == 0 or kind == "axis more":
        return tensor.unsqueeze(rng.randint(0, tensor.dim()))
    axis = rng.randrange(tensor.dim())
    size = tensor.shape[axis]
    if kind == "shorter":
        return tensor.narrow(axis, 0, rng.randint(0, size))
    if kind == "empty":
        return tensor.narrow(axis, 0, 0)
    if kind == "longer" and tensor.numel() < 1 << 20:
        return torch.cat((tensor, tensor), dim=axis)
    if kind == "axis less" and size > 0:
        return tensor.select(axis, rng.randrange(size))
    if kind == "scalar" and tensor.numel() > 0:
        return tensor.flatten()[0]
    return tensor.flatten()


def _with_specials(rng: random.Random, tensor: Tensor) -> Tensor:
    """Some entries not finite, subnormal or large; integers out of any range."""
    if tensor.numel() == 0 or tensor.dtype == torch.bool:
        return tensor
    changed = tensor.clone(memory_format=torch.contiguous_format)
    flat = changed.view(-1)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(flat.numel())
        if tensor.is_floating_point() or tensor.is_complex():
            flat[place] = rng.choice(SPECIALS)
        else:
            info = torch.iinfo(tensor.dtype)
            flat[place] = min(max(rng.choice(INTEGERS), info.min), info.max)
    return changed


def mutated_tensor(rng: random.Random, tensor: Tensor) -> Tensor:
    kind = rng.choice(("specials", "specials", "shape", "dtype", "expanded"))
    if kind == "specials":
        return _with_specials(rng, tensor)
    if kind == "shape":
        return _reshaped(rng, tensor)
    if kind == "dtype":
        return tensor.to(rng.choice(DTYPES))
    return _expanded(rng, tensor)


def mutated(rng: random.Random, value: Any) -> Any:
    """One argument changed: a tensor's values, shape, dtype or strides; a number's range."""
    if isinstance(value, Tensor):
        return mutated_tensor(rng, value)
    if isinstance(value, (list, tuple)) and value:
        items = list(value)
        place = rng.randrange(len(items))
        if rng.random() < 0.3:
            del items[place]
        else:
            items[place] = mutated(rng, items[place])
        return type(value)(items)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((*INTEGERS, value + 1, value - 1, -value))
    if isinstance(value, float):
        return rng.choice((*NUMBERS, -value))
    return value


def fresh(rng: random.Random, value: Any) -> Any:
    """Copies of all tensors inside, four in ten with another layout."""
    if isinstance(value, Tensor):
        return with_layout(rng, value) if rng.random() < 0.4 else value.detach().clone()
    if isinstance(value, (list, tuple)):
        return type(value)(fresh(rng, item) for item in value)
    return value


def copied(value: Any) -> Any:
    """Copies of all tensors inside, laid out as they are."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, (list, tuple)):
        return type(value)(copied(item) for item in value)
    return value


def garbage_tensor(rng: random.Random) -> Tensor:
    sizes = [rng.choice(SIZES) for _ in range(rng.choice((0, 1, 1, 2, 2, 2, 3, 3, 4)))]
    generator = torch.Generator().manual_seed(rng.getrandbits(31))
    values = torch.randn(sizes, generator=generator) * rng.choice((1.0, 1.0, 30.0))
    return with_layout(rng, values.to(rng.choice((*DTYPES, *FLOATS[:2], *FLOATS[:2]))))


def garbage(rng: random.Random, kind: str) -> Any:
    """A value of a schema's type, as the dispatcher names it; one of few is what it should be."""
    if kind.endswith("?"):
        return None if rng.random() < 0.3 else garbage(rng, kind[:-1])
    if kind.startswith("Optional["):
        return None if rng.random() < 0.3 else garbage(rng, kind[len("Optional[") : -1])
    if kind.startswith("List["):
        return [garbage(rng, kind[len("List[") : -1]) for _ in range(rng.randint(0, 3))]
    if kind.endswith("[]"):
        return [garbage(rng, kind[:-2]) for _ in range(rng.randint(0, 3))]
    if kind == "Tensor":
        return garbage_tensor(rng)
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "int":
        return rng.choice(INTEGERS)
    if kind == "float":
        return rng.choice(NUMBERS)
    if kind == "str":
        return rng.choice(("", "x", "causal", "\x00", "é" * 50))
    return None

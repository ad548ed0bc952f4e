"""Which implementation of an op runs: decided by the device, or forced for a block of code."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from llmcore._native import load_libraries
from llmcore.errors import KernelUnavailable

NATIVE: Final = "native"
TORCH: Final = "torch"
REFERENCE: Final = "reference"
BACKENDS: Final = (NATIVE, TORCH, REFERENCE)

# LLMCORE_BACKEND forces one for a whole process and for those that it starts.
_forced: ContextVar[str | None] = ContextVar(
    "llmcore_backend", default=os.environ.get("LLMCORE_BACKEND") or None
)


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Force one backend inside the block: `reference` to debug, `torch` or `native` to compare.

    A graph of `torch.compile` keeps the backend under which it was traced.

    Raises:
        KernelUnavailable: `name` is no backend at all. An op that lacks it raises when called.
    """
    if name not in BACKENDS:
        raise KernelUnavailable(
            f"use_backend: name must be one of {', '.join(BACKENDS)}, got {name}"
        )
    token = _forced.set(name)
    try:
        yield
    finally:
        _forced.reset(token)


def forced_backend() -> str | None:
    """Return what `use_backend` or the variable LLMCORE_BACKEND forces here, or None."""
    return _forced.get()


# Dynamo cannot trace ContextVar.get. This is the mark that torch.compiler.assume_constant_result
# sets; calling that would import all of Dynamo.
forced_backend.__dict__["_dynamo_marked_constant"] = True


def choose(op: str, by_device: Mapping[str, str], device: str) -> str:
    """Return the backend of `op` on `device`; `by_device` is the op's own table.

    Raises:
        KernelUnavailable: neither the table nor the forced backend serves this device.
    """
    backend = forced_backend()
    if backend is None:
        backend = by_device.get(device)
    elif backend != REFERENCE and by_device.get(device) != backend:
        raise KernelUnavailable(_message(op, by_device, device, f"backend {backend!r}"))
    if backend is None or (backend == NATIVE and device == "cuda" and not cuda_library_loaded()):
        raise KernelUnavailable(_message(op, by_device, device, "kernel"))
    return backend


def cuda_library_loaded() -> bool:
    """Whether libllmcore_cuda.so was built and this torch is a CUDA build."""
    return bool(load_libraries()["cuda_loaded"])


def _message(op: str, by_device: Mapping[str, str], device: str, missing: str) -> str:
    served = ", ".join(f"{where}: {backend}" for where, backend in by_device.items())
    return (
        f"{op}: no {missing} for device {device}; there is {served}, "
        f'and use_backend("{REFERENCE}") on any device'
    )

"""Finds the native libraries of the package and, when `llmcore.ops` asks, loads them."""

import functools
import json
from pathlib import Path
from typing import Any, Final

from llmcore.errors import ConfigError

LIBRARY_DIR: Final = Path(__file__).parent / "lib"
CPU_LIBRARY: Final = LIBRARY_DIR / "libllmcore_cpu.so"
CUDA_LIBRARY: Final = LIBRARY_DIR / "libllmcore_cuda.so"


def require_libraries() -> None:
    """Raise a one-line ImportError if the native libraries were never built."""
    if not CPU_LIBRARY.is_file():
        raise ImportError(
            f"llmcore: native library {CPU_LIBRARY.name} is missing from {LIBRARY_DIR}; "
            "build it with `pip install .` or `make setup`"
        )


@functools.cache
def load_libraries() -> dict[str, Any]:
    """Load the libraries once, choose the CPU instruction set, and return the build's facts.

    Raises:
        ImportError: the libraries were never built, or do not fit this torch.
        ConfigError: `LLMCORE_CPU_ISA` names a set that is unknown or not supported here.
    """
    import torch

    require_libraries()
    try:
        torch.ops.load_library(str(CPU_LIBRARY))
        cuda_loaded = torch.version.cuda is not None and CUDA_LIBRARY.is_file()
        if cuda_loaded:
            torch.ops.load_library(str(CUDA_LIBRARY))
    except OSError as error:
        raise ImportError(
            f"llmcore: the native libraries do not load under torch {torch.__version__}: {error}"
        ) from error
    try:
        facts: dict[str, Any] = json.loads(torch.ops.llmcore.build_info())
    except RuntimeError as error:
        raise ConfigError(str(error)) from error
    return facts | {"cuda_loaded": cuda_loaded, "torch": torch.__version__}

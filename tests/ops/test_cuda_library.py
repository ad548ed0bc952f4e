"""The CUDA library without a GPU: it loads under any torch and registers every op's CUDA kernel."""

import subprocess
import sys

import pytest

from llmcore._native import CUDA_LIBRARY

CODE = """
import sys, torch, llmcore.ops
torch.ops.load_library(sys.argv[1])
for op in ("rms_norm", "rms_norm_no_grad", "rms_norm_backward"):
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"llmcore::{op}", "CUDA"), op
assert not torch.cuda.is_initialized()
print("registered")
"""


def test_registers_without_a_gpu() -> None:
    if not CUDA_LIBRARY.is_file():
        pytest.skip(
            f"{CUDA_LIBRARY.name} was not built into {CUDA_LIBRARY.parent.name}/: "
            "build with LLMCORE_CUDA=ON, which needs nvcc"
        )
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(CUDA_LIBRARY)],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "registered", done.stderr[-1000:]

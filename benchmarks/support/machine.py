"""What a benchmark's numbers hold for: the machine, its limits, and the memory of a call."""

import ctypes
import datetime
import gc
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from llmcore.ops import build_info

REPO_ROOT = Path(__file__).resolve().parents[2]
LIMITS_BINARY = REPO_ROOT / "build" / "bench" / "benchmarks" / "cpp" / "bench_limits"


@dataclass(frozen=True, kw_only=True, slots=True)
class Peak:
    """Operations per second that the machine can do in one dtype, and how they were counted."""

    name: str
    flops_per_s: float


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def commit() -> str:
    """The commit of the checkout, with `+` if files differ from it; empty outside of one."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=REPO_ROOT, capture_output=True, text=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--short") else "")
    except OSError:
        return ""


def facts(device: torch.device, threads: int) -> dict[str, Any]:
    """Describe the machine, the build and the day."""
    on_gpu = device.type == "cuda"
    return build_info() | {
        "device": device.type,
        "machine": torch.cuda.get_device_name(device) if on_gpu else cpu_model(),
        "cores": os.cpu_count(),
        "threads": threads,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M"),
        "commit": commit(),
    }


def peaks(device: torch.device, threads: int) -> dict[str, Peak]:
    """Peak rates by dtype: of the processor's own instructions where `make bench` built the C++
    benchmarks, else of torch's matrix product, which reaches 60 to 90 % of that."""
    if device.type == "cpu" and LIMITS_BINARY.is_file():
        return _instruction_peaks(threads)
    return {
        str(dtype)[6:]: Peak(name="GEMM", flops_per_s=_gemm_rate(device, dtype))
        for dtype in (torch.float32, torch.bfloat16)
    }


def _instruction_peaks(threads: int) -> dict[str, Peak]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "limits.json"
        words = [LIMITS_BINARY, "--threads", str(threads), "--rounds", "200", "--seconds", "0.2"]
        words += ["--json", path]
        subprocess.run(words, check=True, capture_output=True)
        found = json.loads(path.read_text(encoding="utf-8"))["limits"]
    rates = {limit["limit"]: 1e9 * limit["best_giga_per_s"] for limit in found}
    fma = Peak(name="FMA f32", flops_per_s=rates["FMA f32"])
    dot = Peak(name="dot bf16", flops_per_s=rates.get("dot bf16", 0.0))
    return {"float32": fma, "bfloat16": max(fma, dot, key=lambda peak: peak.flops_per_s)}


def _gemm_rate(device: torch.device, dtype: torch.dtype) -> float:
    size = 1024 if device.type == "cpu" else 8192
    left = torch.ones(size, size, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(6):
        start = time.perf_counter()
        product = left @ left
        product[0, 0].item()  # waits for a GPU
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def extra_memory(run: Callable[[], object], *, allocates: bool = True) -> int:
    """Bytes that one call adds at its peak to what the process held before and to the tensors that
    it returns, which are fresh where it `allocates`.

    From the kernel's high-water mark of resident memory, so library buffers count too; 0 where the
    system has no such mark. Exact to some tens of kB: use it for calls of megabytes. A lower bound
    where the peak is before all of the result is there.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = _status_bytes("VmRSS")
        result = run()
        added = _status_bytes("VmHWM") - before
        return max(0, added - result_bytes(result)) if allocates else added
    except (OSError, AttributeError):
        return 0


def result_bytes(result: object) -> int:
    """Bytes of the tensors in what a call returned; views of one storage count once."""
    found: dict[int, int] = {}

    def visit(value: object) -> None:
        if isinstance(value, torch.Tensor):
            storage = value.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
        elif isinstance(value, (list, tuple)):
            for item in value:
                visit(item)

    visit(result)
    return sum(found.values())


def _status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    raise OSError(f"no {field} in /proc/self/status")

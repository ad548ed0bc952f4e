"""Every op owns the same files; the compiled rooms see only what they may."""

import importlib
import re
from pathlib import Path

import pytest

from llmcore.ops.backend import NATIVE
from tests.support.source_tree import CSRC, PACKAGE, REPO_ROOT, TESTS, files_under

OPS = sorted(
    p.name for p in (PACKAGE / "ops").iterdir() if p.is_dir() and (p / "__init__.py").is_file()
)
SPECS = {op: importlib.import_module(f"llmcore.ops.{op}.cases").SPEC for op in OPS}
BACKENDS = {op: importlib.import_module(f"llmcore.ops.{op}").BACKENDS for op in OPS}
SOURCES = {op: spec.source or spec.name for op, spec in SPECS.items()}
NATIVE_OPS = [op for op in OPS if BACKENDS[op].get("cpu") == NATIVE]
CUDA_OPS = [op for op in OPS if BACKENDS[op].get("cuda") == NATIVE]
PURE_ROOMS = ("core", "ops", "cpu", "cuda", "tokenizer", "runtime")
PURE_SOURCES = [
    path for room in PURE_ROOMS for path in files_under(CSRC / room, ".h", ".cuh", ".cpp", ".cu")
]
ALL_SOURCES = files_under(CSRC, ".h", ".cuh", ".cpp", ".cu")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


def includes(path: Path) -> list[str]:
    return INCLUDE.findall(path.read_text(encoding="utf-8"))


def relative(path: Path) -> str:
    return str(path.relative_to(REPO_ROOT))


def test_there_are_ops():
    expected = {"rms_norm", "rope", "swiglu", "attention", "cross_entropy", "adamw", "sampling"}
    assert expected <= set(OPS)
    assert "rms_norm" in NATIVE_OPS


@pytest.mark.parametrize("op", OPS)
def test_op_folder_is_complete(op: str):
    folder = PACKAGE / "ops" / op
    wanted = [folder / f"{stem}.py" for stem in ("__init__", "reference", "register", "cases")]
    wanted += [
        TESTS / "ops" / f"test_{op}.py",
        REPO_ROOT / "benchmarks" / "ops" / f"bench_{op}.py",
    ]
    assert not [relative(path) for path in wanted if not path.is_file()]


@pytest.mark.parametrize("op", NATIVE_OPS)
def test_native_op_has_header_kernel_and_door(op: str):
    stem = SOURCES[op]
    wanted = [
        CSRC / "ops" / f"{stem}.h",
        CSRC / "cpu" / f"{stem}.cpp",
        CSRC / "torch" / f"{stem}.cpp",
    ]
    if op in CUDA_OPS:
        wanted.append(CSRC / "cuda" / f"{stem}.cu")
    assert not [relative(path) for path in wanted if not path.is_file()]


LADDERED = sorted(
    {CSRC / "cpu" / f"{SOURCES[op]}.cpp" for op in NATIVE_OPS}
    | {CSRC / "cuda" / f"{SOURCES[op]}.cu" for op in CUDA_OPS}
)


@pytest.mark.parametrize("path", LADDERED, ids=relative)
def test_kernel_carries_its_ladder(path: Path):
    """Versions tried, what bounded each and where it was measured: at the top of the file."""
    head = "\n".join(path.read_text(encoding="utf-8").splitlines()[:40])
    assert "adder" in head, f"{relative(path)} has no ladder comment in its first 40 lines"


@pytest.mark.parametrize("path", ALL_SOURCES, ids=relative)
def test_no_aten_or_c10_header(path: Path):
    """One binary for every torch >= 2.11 needs the stable ABI alone."""
    unstable = (
        "ATen/",
        "c10/",
        "torch/extension.h",
        "torch/torch.h",
        "torch/all.h",
        "torch/library.h",
    )
    assert not [name for name in includes(path) if name.startswith(unstable)]


@pytest.mark.parametrize("path", PURE_SOURCES, ids=relative)
def test_pure_rooms_see_neither_torch_nor_python(path: Path):
    foreign = ("torch/", "ATen/", "c10/", "nanobind/", "Python.h", "pybind11/")
    assert not [name for name in includes(path) if name.startswith(foreign)]


@pytest.mark.parametrize("path", files_under(CSRC / "torch", ".h", ".cpp"), ids=relative)
def test_torch_room_sees_no_python(path: Path):
    assert not [name for name in includes(path) if name.startswith(("nanobind/", "Python.h"))]


def test_the_include_lint_sees_an_include(tmp_path: Path):
    source = tmp_path / "x.cpp"
    source.write_text('#include <ATen/ATen.h>\n  # include "core/check.h"\n')
    assert includes(source) == ["ATen/ATen.h", "core/check.h"]

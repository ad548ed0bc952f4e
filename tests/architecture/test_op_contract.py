"""Every op owns the same files; the compiled rooms see only what they may."""

import re
from pathlib import Path

import pytest

from tests.support.source_tree import CSRC, PACKAGE, REPO_ROOT, TESTS, files_under

OPS = sorted(
    p.name for p in (PACKAGE / "ops").iterdir() if p.is_dir() and (p / "__init__.py").is_file()
)
NATIVE_OPS = [op for op in OPS if (CSRC / "torch" / f"{op}.cpp").is_file()]
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
def test_native_op_has_header_and_both_kernels(op: str):
    wanted = [CSRC / "ops" / f"{op}.h", CSRC / "cpu" / f"{op}.cpp", CSRC / "cuda" / f"{op}.cu"]
    assert not [relative(path) for path in wanted if not path.is_file()]


@pytest.mark.parametrize("op", NATIVE_OPS)
def test_cuda_kernel_carries_its_ladder(op: str):
    """Versions tried, what bounded each and where it was measured: at the top of the file."""
    head = "\n".join((CSRC / "cuda" / f"{op}.cu").read_text(encoding="utf-8").splitlines()[:40])
    assert "adder" in head, f"csrc/cuda/{op}.cu has no ladder comment in its first 40 lines"


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

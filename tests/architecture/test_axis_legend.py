"""Shape annotations use the axes of `llmcore.shapes.AXES` and no private letters."""

import ast
import re
from pathlib import Path

import pytest

from llmcore.shapes import AXES
from tests.support.source_tree import PACKAGE, package_files, syntax_tree

DTYPES = {"Float", "Int", "UInt", "Bool", "Num", "Shaped", "Integer", "Inexact", "Real", "Key"} | {
    f"{kind}{bits}"
    for kind in ("Float", "Int", "UInt", "BFloat")
    for bits in ("8", "16", "32", "64")
}
NAME = re.compile(r"[A-Za-z_]\w*")


def shape_strings(tree: ast.Module) -> list[tuple[int, str]]:
    """`(line, shape)` of every `Float[Tensor, "..."]`-like annotation."""
    found = []
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Name)
            and node.value.id in DTYPES
            and isinstance(node.slice, ast.Tuple)
            and isinstance(node.slice.elts[-1], ast.Constant)
        ):
            found.append((node.lineno, str(node.slice.elts[-1].value)))
    return found


def foreign_axes(shape: str) -> set[str]:
    """Names in a shape string that the legend lacks; `*batch`, `...` and `_` are any axes."""
    fixed = " ".join(token for token in shape.split() if not token.startswith(("*", "...")))
    return set(NAME.findall(fixed)) - set(AXES) - {"_"}


def test_the_lint_itself_sees_a_foreign_axis():
    assert foreign_axes("*batch T Q") == {"Q"}
    assert foreign_axes(" C") == set()
    assert shape_strings(ast.parse('def f(x: Float[Tensor, "B T Q"]): ...')) == [(1, "B T Q")]


@pytest.mark.parametrize("path", package_files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_annotations_use_only_the_legend(path: Path):
    wrong = {
        f"{path.relative_to(PACKAGE)}:{line} {shape!r}: {sorted(foreign_axes(shape))}"
        for line, shape in shape_strings(syntax_tree(path))
        if foreign_axes(shape)
    }
    assert not wrong, f"not in llmcore.shapes.AXES: {wrong}"

"""The package's own source as data: rooms, modules, syntax trees and public functions.

Everything is read from the checkout, never imported: an architecture test sees what is committed.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

REPO_ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = REPO_ROOT / "python" / "llmcore"
TESTS = REPO_ROOT / "tests"
CSRC = REPO_ROOT / "csrc"
SKIPPED_FOLDERS = {"__pycache__", "build", "dist", "runs", ".venv", ".git"}

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class Function(NamedTuple):
    """One function of one file; `owner` is the class that it stands in, or an empty string."""

    path: Path
    owner: str
    node: FunctionNode

    @property
    def label(self) -> str:
        """`path:line name`, relative to the repository."""
        name = f"{self.owner}.{self.node.name}" if self.owner else self.node.name
        return f"{self.path.relative_to(REPO_ROOT)}:{self.node.lineno} {name}"


def files_under(folder: Path, *suffixes: str) -> list[Path]:
    """Files below `folder` with one of the suffixes, sorted; build and cache folders left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in suffixes
        and path.is_file()
        and not SKIPPED_FOLDERS.intersection(path.relative_to(folder).parts)
    )


def package_files() -> list[Path]:
    """Every Python file of the package."""
    return files_under(PACKAGE, ".py")


def rooms() -> list[Path]:
    """Folders directly below the package that hold Python code."""
    return sorted(p for p in PACKAGE.iterdir() if p.is_dir() and (p / "__init__.py").is_file())


@cache
def syntax_tree(path: Path) -> ast.Module:
    """Parsed source of one file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(path: Path) -> Iterator[Function]:
    """Functions of a file and methods of its classes, nested ones included."""

    def walk(node: ast.AST, owner: str) -> Iterator[Function]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, FunctionNode):
                yield Function(path, owner, child)
                yield from walk(child, owner)
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, child.name)
            else:
                yield from walk(child, owner)

    yield from walk(syntax_tree(path), "")


def public_functions(path: Path) -> Iterator[Function]:
    """Public top-level functions, and public methods of public top-level classes."""
    for node in syntax_tree(path).body:
        if isinstance(node, FunctionNode) and not node.name.startswith("_"):
            yield Function(path, "", node)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for child in node.body:
                is_public = isinstance(child, FunctionNode) and not child.name.startswith("_")
                if is_public and not _is_overload(child):
                    yield Function(path, node.name, child)


def _is_overload(node: ast.AST) -> bool:
    """A signature for type checkers; what it does is told once, at the function itself."""
    return any(
        isinstance(mark, ast.Name) and mark.id == "overload"
        for mark in getattr(node, "decorator_list", [])
    )


def imported_modules(path: Path) -> Iterator[tuple[int, str]]:
    """`(line, dotted module)` of every import statement of a file, lazy imports included."""
    for node in ast.walk(syntax_tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module

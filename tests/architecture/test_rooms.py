"""Small rooms: each has a README and its tests; files and functions stay readable."""

import ast
from pathlib import Path

import pytest

from tests.support.source_tree import (
    CSRC,
    PACKAGE,
    REPO_ROOT,
    TESTS,
    Function,
    files_under,
    functions,
    package_files,
    public_functions,
    rooms,
    syntax_tree,
)

FORBIDDEN_STEMS = {"utils", "util", "common", "helpers", "helper", "misc", "base"}
MAX_FILE_LINES = 500
MAX_CXX_OP_LINES = 400
MAX_FUNCTION_LINES = 80
MAX_PARAMETERS = 10
# Every rule of attention is an argument of its own, in the door, its definition and its schema.
MAX_PARAMETERS_OF_ATTENTION = 14
ATTENTION_OPS = ("attention", "attention_packed", "paged_attention")
MAX_README_LINES = 40
OWN_CODE = [
    *package_files(),
    *files_under(CSRC, ".h", ".cuh", ".cpp", ".cu"),
    *files_under(TESTS, ".py"),
    *files_under(REPO_ROOT / "benchmarks", ".py", ".cpp"),
]
CSRC_ROOMS = sorted(p for p in CSRC.iterdir() if p.is_dir()) if CSRC.is_dir() else []


def relative(path: Path) -> str:
    return str(path.relative_to(REPO_ROOT))


def expected_test(module: Path) -> Path:
    """`python/llmcore/<room>/<m>.py` -> `tests/<room>/test_<m>.py`."""
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    if len(parts) == 1:
        return TESTS / f"test_{parts[0].lstrip('_')}.py"
    return TESTS.joinpath(*parts[:-1]) / f"test_{parts[-1].lstrip('_')}.py"


def is_op_file(path: Path) -> bool:
    """A file of one op: its public function is in `__init__.py`; test_op_contract.py covers it."""
    return path.parent.parent == PACKAGE / "ops"


TESTED_MODULES = [
    path
    for path in package_files()
    if path.name not in {"__init__.py", "__main__.py"} and not is_op_file(path)
]


@pytest.mark.parametrize("module", TESTED_MODULES, ids=relative)
def test_every_module_has_its_test(module: Path):
    wanted = expected_test(module)
    assert wanted.is_file(), f"{relative(module)} needs {relative(wanted)}"
    assert "def test_" in wanted.read_text(encoding="utf-8")


@pytest.mark.parametrize("room", [*rooms(), CSRC], ids=relative)
def test_every_room_has_a_short_readme(room: Path):
    readme = room / "README.md"
    assert readme.is_file(), f"{relative(room)} has no README.md"
    num_lines = len(readme.read_text(encoding="utf-8").splitlines())
    assert 3 <= num_lines <= MAX_README_LINES, f"{relative(readme)} has {num_lines} lines"


def test_the_page_of_csrc_names_every_compiled_room():
    text = (CSRC / "README.md").read_text(encoding="utf-8")
    assert not [room.name for room in CSRC_ROOMS if f"`{room.name}/`" not in text]


@pytest.mark.parametrize("path", OWN_CODE, ids=relative)
def test_files_are_short_and_well_named(path: Path):
    assert path.stem not in FORBIDDEN_STEMS, f"{relative(path)}: name the thing"
    if path.stem.endswith("_tables"):
        return  # data in the shape of code
    limit = MAX_CXX_OP_LINES if path.parent.parent == CSRC else MAX_FILE_LINES
    num_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert num_lines <= limit, f"{relative(path)} has {num_lines} lines, the limit is {limit}"


@pytest.mark.parametrize("path", package_files(), ids=relative)
def test_functions_are_short(path: Path):
    is_attention = path.parent.parent.name == "ops" and path.parent.name in ATTENTION_OPS
    most_parameters = MAX_PARAMETERS_OF_ATTENTION if is_attention else MAX_PARAMETERS

    def too_big(function: Function) -> bool:
        node = function.node
        num_parameters = len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs)
        num_lines = (node.end_lineno or node.lineno) - node.lineno + 1
        return num_lines > MAX_FUNCTION_LINES or num_parameters > most_parameters

    assert not [f.label for f in functions(path) if too_big(f)]


@pytest.mark.parametrize("path", package_files(), ids=relative)
def test_public_things_have_docstrings(path: Path):
    """`validate` and `forward` are told by their base class and by their class."""
    tree = syntax_tree(path)
    missing = [] if ast.get_docstring(tree) else [f"{relative(path)} (module)"]
    for node in tree.body:
        is_public_class = isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        if is_public_class and not ast.get_docstring(node):
            missing.append(f"{relative(path)}:{node.lineno} {node.name}")
    if not is_op_file(path) or path.name in {"__init__.py", "reference.py"}:
        missing += [
            f.label
            for f in public_functions(path)
            if not ast.get_docstring(f.node) and f.node.name not in {"validate", "forward"}
        ]
    assert not missing, f"no docstring: {missing}"


@pytest.mark.parametrize(
    "path", [room / "__init__.py" for room in rooms() if room.name != "ops"], ids=relative
)
def test_a_rooms_init_only_re_exports(path: Path):
    """Docstring, imports and `__all__`: a reader never has to look for code in an `__init__.py`."""
    for node in syntax_tree(path).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_all = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        assert is_docstring or is_all or isinstance(node, ast.Import | ast.ImportFrom), (
            f"{relative(path)}:{node.lineno} {ast.unparse(node)[:60]!r}"
        )

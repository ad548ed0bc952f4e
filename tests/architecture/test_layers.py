"""A room imports only rooms on lower lines; siblings and outsiders are never imported."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.source_tree import PACKAGE, REPO_ROOT, imported_modules, package_files, rooms

OTHER_PEOPLES_CODE = {
    "transformers",
    "trl",
    "tokenizers",
    "tiktoken",
    "sentencepiece",
    "vllm",
    "datasets",
    "accelerate",
    "huggingface_hub",
}
DISTRIBUTION_OF_MODULE = {"tomli_w": "tomli-w"}


def project() -> dict:
    return tomllib.loads((REPO_ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_import_linter_contracts_are_kept():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=REPO_ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_layers_contract_is_exhaustive_and_names_every_room():
    contracts = {c["type"]: c for c in project()["tool"]["importlinter"]["contracts"]}
    assert contracts["layers"]["exhaustive"] is True
    assert "acyclic_siblings" in contracts
    named = {name.strip() for line in contracts["layers"]["layers"] for name in line.split("|")}
    assert {room.name for room in rooms()} <= named


@pytest.mark.parametrize("path", package_files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_package_imports_only_declared_dependencies(path: Path):
    declared = {
        requirement.split(";")[0].split("[")[0].split(">")[0].split("=")[0].split("<")[0].strip()
        for requirement in project()["project"]["dependencies"]
    }
    allowed = {*sys.stdlib_module_names, "llmcore", *declared}
    for line, module in imported_modules(path):
        top = module.split(".")[0]
        assert top not in OTHER_PEOPLES_CODE, f"{path}:{line} imports {module}"
        assert DISTRIBUTION_OF_MODULE.get(top, top) in allowed, (
            f"{path}:{line} imports {module}, which pyproject.toml does not declare"
        )


@pytest.mark.parametrize("path", package_files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_annotations_are_evaluated(path: Path):
    """A `from __future__ import annotations` would hide every shape from the run-time check."""
    assert "__future__" not in {module for _, module in imported_modules(path)}

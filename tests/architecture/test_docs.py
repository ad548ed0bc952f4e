"""The documentation holds: links resolve, decisions follow one form, the README's Python runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.source_tree import REPO_ROOT, files_under

PAGES = files_under(REPO_ROOT, ".md")
DECISIONS = [
    p for p in sorted((REPO_ROOT / "docs" / "adr").glob("[0-9]*.md")) if "0000" not in p.name
]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
PYTHON_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


def relative(path: Path) -> str:
    return str(path.relative_to(REPO_ROOT))


def prose(page: Path) -> str:
    """Text of a page without its code blocks and spans, in which brackets are code, not links."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_resolve(page: Path):
    targets = [t for t in LINK.findall(prose(page)) if not t.startswith(("http:", "https:"))]
    assert not [t for t in targets if not (page.parent / t).exists()]


@pytest.mark.parametrize("page", DECISIONS, ids=relative)
def test_decisions_name_the_test_that_holds_them(page: Path):
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.name[:4]}. ")
    for heading in ("## Context", "## Decision", "## Consequence", "## Held by"):
        assert heading in text, f"{relative(page)} lacks {heading!r}"
    holders = re.findall(r"`((?:tests|\.ci)/[^`:]*)(?:::(\w+))?`", text.split("## Held by")[1])
    assert holders, f"{relative(page)} names no test"
    for name, function in holders:
        assert (REPO_ROOT / name).exists(), f"{relative(page)} names {name}"
        if function:
            assert f"def {function}(" in (REPO_ROOT / name).read_text(encoding="utf-8")


def test_decisions_are_numbered_without_gaps():
    assert [int(p.name[:4]) for p in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_every_page_of_docs_is_in_the_index():
    index = (REPO_ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = [p for p in (REPO_ROOT / "docs").glob("*.md") if p.name != "README.md"]
    assert not [p.name for p in pages if f"({p.name})" not in index]


def test_the_maths_of_every_stage_is_five_hops_from_the_readme():
    """README -> docs/README -> the stage's page -> the loss's file: every link is followed."""
    assert "(docs/README.md)" in (REPO_ROOT / "README.md").read_text(encoding="utf-8")
    index = (REPO_ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page, maths in {
        "pretraining.md": "python/llmcore/losses/cross_entropy.py",
        "sft.md": "python/llmcore/losses/cross_entropy.py",
        "dpo.md": "python/llmcore/losses/dpo.py",
    }.items():
        assert f"({page})" in index
        assert f"../{maths}" in index
        assert (REPO_ROOT / maths).is_file()


def test_the_readme_python_runs(tmp_path: Path):
    """The `use it from Python` block runs as it stands, in an empty folder."""
    blocks = PYTHON_BLOCK.findall((REPO_ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(blocks) == 1
    code_lines = [line for line in blocks[0].splitlines() if line.strip()]
    assert len(code_lines) <= 20
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", blocks[0]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize(
    "heading", ["BPE", "WordPiece", "Unigram", "Extending a vocabulary", "Chats"]
)
def test_the_tokenizer_examples_print_what_the_page_says(heading: str, tmp_path: Path):
    text = (REPO_ROOT / "docs" / "tokenizers.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert section is not None
    code, printed = re.findall(r"```(?:python|text)\n(.*?)```", section[1], re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed


def test_the_readme_keeps_its_promises():
    text = (REPO_ROOT / "README.md").read_text(encoding="utf-8")
    for needle in ("make quickstart", "make test", "docs/images/report.png", "Apache-2.0"):
        assert needle in text
    for path in re.findall(r"`((?:pretraining|tuning|alignment|inference)/\w+\.py)`", text):
        assert (REPO_ROOT / "python" / "llmcore" / path).is_file(), path


def test_the_licence_is_apache_2():
    text = (REPO_ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text

"""The pre-tokenizer's Unicode tables against the `tokenizers` package, over all code points."""

import subprocess
import sys
from pathlib import Path

import pytest
import tokenizers as hf

from llmcore._bindings import split_pieces
from tests.support.code_points import code_points

pytestmark = pytest.mark.parity


def pieces(text: str) -> list[str]:
    data = text.encode()
    result, at = [], 0
    for size in split_pieces(text):
        result.append(data[at : at + size].decode())
        at += size
    assert at == len(data)
    return result


def test_every_code_point_splits_as_theirs() -> None:
    """A letter joins the a, a number both 1s, a symbol the !, white space nothing."""
    theirs = hf.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    points = code_points()
    for start in range(0, len(points), 128):
        chars = [chr(c) for c in points[start : start + 128]]
        text = "".join(f"a{c}1{c}1{c}!\n" for c in chars)
        spans = [span for _, span in theirs.pre_tokenize_str(text)]
        want = [text[a:b] for a, b in spans]
        assert pieces(text) == want


def test_generator_writes_the_committed_table(repo_root: Path) -> None:
    folder = repo_root / "csrc" / "tokenizer" / "text"
    if sys.version_info >= (3, 15):
        pytest.skip("this Python's Unicode is newer than the table's")
    written = subprocess.run(
        [sys.executable, folder / "generate_unicode_tables.py"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert written == (folder / "unicode_tables.h").read_text()

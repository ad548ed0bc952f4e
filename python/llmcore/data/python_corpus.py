"""The text that every Python installation carries: its language reference and its own library."""

import hashlib
import pydoc_data.topics
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from llmcore.data.documents import Document

_LEFT_OUT_NAMES: Final = (
    "test tests idle_test site-packages dist-packages idlelib lib2to3 distutils encodings "
    "pydoc_data turtledemo tkinter ensurepip __pycache__ __phello__"
)
_LEFT_OUT: Final = frozenset(_LEFT_OUT_NAMES.split())
"""Tests, interpreters' side projects that some systems package apart, and generated tables."""

_MIN_CHARACTERS: Final = 200


def python_documents(*, max_bytes: int = 8_000_000) -> list[Document]:
    """The help topics and the standard library's modules, at most `max_bytes` of UTF-8.

    Which documents come first, and so survive the cap, depends on a hash of their names: the
    corpus is a fixed function of the Python installation.
    """
    documents = sorted([*_topics(), *_modules()], key=_rank)
    kept: list[Document] = []
    total = 0
    for document in documents:
        if total + document.num_bytes <= max_bytes:
            kept.append(document)
            total += document.num_bytes
    return kept


def _topics() -> Iterator[Document]:
    for name, text in sorted(pydoc_data.topics.topics.items()):
        yield Document(name=f"topics/{name}", text=text)


def _modules() -> Iterator[Document]:
    root = Path(sysconfig.get_path("stdlib"))
    for file in sorted(root.rglob("*.py")):
        place = file.relative_to(root)
        if _LEFT_OUT.intersection(place.parts[:-1]) or place.name.startswith("_sysconfigdata"):
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            # A module in another encoding, or one that this user may not read.
            continue
        if len(text) >= _MIN_CHARACTERS:
            yield Document(name=f"stdlib/{place.as_posix()}", text=text)


def _rank(document: Document) -> bytes:
    return hashlib.sha256(document.name.encode()).digest()

"""The text that every Python installation carries: its language reference and its own library."""

import hashlib
import os
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
    for folder, subfolders, names in os.walk(root):
        # Pruned before the descent: site-packages can be a hundred times the library.
        subfolders[:] = sorted(set(subfolders) - _LEFT_OUT)
        for name in sorted(names):
            file = Path(folder, name)
            if file.suffix == ".py" and not name.startswith("_sysconfigdata"):
                text = _read(file)
                if len(text) >= _MIN_CHARACTERS:
                    yield Document(name=f"stdlib/{file.relative_to(root).as_posix()}", text=text)


def _read(file: Path) -> str:
    """The text of a module, empty if it is in another encoding or not readable by this user."""
    try:
        return file.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError):
        return ""


def _rank(document: Document) -> bytes:
    return hashlib.sha256(document.name.encode()).digest()

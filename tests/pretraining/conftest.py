"""The documents that every test of the stage trains on."""

from pathlib import Path

import pytest

from tests.support.toy_pretraining import write_documents


@pytest.fixture(scope="session")
def documents_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty short documents. Read only."""
    return write_documents(tmp_path_factory.mktemp("toy-documents") / "documents.jsonl")

"""Ids and decoded texts equal those of each vocabulary's own library, on mixed text.

The suite takes a sample; `pytest tests/parity/test_tokenizers_differential.py
--differential-megabytes 20` takes what a change of an encoder deserves.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from llmcore.tokenizers import Tokenizer
from tests.support.mixed_text import mixed_texts

MODELS = [
    "sentencepiece.botchan_unigram.model",
    "sentencepiece.llama2.model",
    "sentencepiece.nai-t5.model",
    "tiktoken.cl100k_base.tiktoken",
    "tokenizers.bert_base_cased.json",
    "tokenizers.gpt2.json",
    "tokenizers.gpt_neox.json",
    "tokenizers.mistral03.json",
]
Encode = Callable[[bytes], list[int]]
Decode = Callable[[list[int]], str]


def as_utf8(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def sentencepiece_library(path: Path) -> tuple[Encode, Decode]:
    library = pytest.importorskip("sentencepiece", reason="needs sentencepiece")
    processor = library.SentencePieceProcessor(str(path))
    return processor.encode, processor.decode


def tiktoken_library(path: Path) -> tuple[Encode, Decode]:
    library = pytest.importorskip("tiktoken", reason="needs tiktoken")
    load = pytest.importorskip("tiktoken.load", reason="needs tiktoken")
    constructors = pytest.importorskip("tiktoken_ext.openai_public", reason="needs tiktoken")
    constructors.load_tiktoken_bpe = lambda *_, **__: load.load_tiktoken_bpe(str(path))
    encoding = library.Encoding(**constructors.cl100k_base())
    return lambda text: encoding.encode_ordinary(as_utf8(text)), encoding.decode


def tokenizers_library(path: Path) -> tuple[Encode, Decode]:
    library = pytest.importorskip("tokenizers", reason="needs tokenizers")
    # Without the special tokens, which this library looks for only where asked to.
    data = json.loads(path.read_bytes())
    data["added_tokens"] = [t for t in data["added_tokens"] if not t["special"]]
    tokenizer = library.Tokenizer.from_str(json.dumps(data))
    return (
        lambda text: tokenizer.encode(as_utf8(text), add_special_tokens=False).ids,
        lambda ids: tokenizer.decode(ids, skip_special_tokens=False),
    )


LIBRARIES = {
    "sentencepiece": sentencepiece_library,
    "tiktoken": tiktoken_library,
    "tokenizers": tokenizers_library,
}


@pytest.mark.parametrize("model", MODELS)
def test_ids_and_decodes_are_theirs(
    fixtures_dir: Path, pytestconfig: pytest.Config, model: str
) -> None:
    path = fixtures_dir / "tokenizers" / "models" / model
    kind = model.split(".")[0]
    their_encode, their_decode = LIBRARIES[kind](path)
    ours = Tokenizer.load(path)
    num_bytes = int(float(pytestconfig.getoption("--differential-megabytes")) * 1e6)
    for text in mixed_texts(fixtures_dir / "corpora", seed=len(model), num_bytes=num_bytes):
        # Only SentencePiece takes bytes; the others are given what Python makes of them.
        given = text if kind == "sentencepiece" else as_utf8(text)
        ids = their_encode(text)
        assert ours.encode(given) == ids, text
        assert ours.decode(ids) == their_decode(ids), text

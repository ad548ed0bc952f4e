"""Real vocabularies give the ids and texts that their own libraries gave (shared/fixtures)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmcore.tokenizers import Tokenizer

MODELS = [
    "sentencepiece.llama2.model",
    "sentencepiece.nai-t5.model",
    "tiktoken.cl100k_base.tiktoken",
    "tokenizers.bert_base_cased.json",
    "tokenizers.gpt2.json",
    "tokenizers.gpt_neox.json",
    "tokenizers.mistral03.json",
]


def cases_of(path: Path, is_one_case: bool) -> list[str]:
    """The cases of an input or a `.decoded` file; ill-formed bytes as lone surrogates."""
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    if is_one_case:
        return [text]
    escapes = {"\\n": "\n", "\\s": " ", "\\x": ""}
    for written, meant in escapes.items():
        text = text.replace(written, meant if written != "\\n" else "\0")
    return [line.replace("\0", "\n") for line in text.split("\n")]


def expected_ids(path: Path) -> list[list[int]]:
    lines = path.read_text().split("\n")
    return [[int(number) for number in line.split(",") if number] for line in lines]


def pairs(folder: Path, stem: str, name: str) -> Iterator[tuple[str, list[int]]]:
    inputs = cases_of(folder / "inputs" / f"{name}.txt", name == "utf8")
    inputs = [case for case in inputs if case or name == "utf8"]
    wanted = expected_ids(folder / "expected" / f"{stem}.{name}.tokens.txt")
    assert len(inputs) <= len(wanted) <= len(inputs) + 1
    return zip(inputs, wanted, strict=False)


@pytest.mark.golden
@pytest.mark.parametrize("name", ["small", "mixed", "utf8"])
@pytest.mark.parametrize("model", MODELS)
def test_ids_and_decodes(fixtures_dir: Path, model: str, name: str) -> None:
    folder = fixtures_dir / "tokenizers"
    tokenizer = Tokenizer.load(folder / "models" / model)
    stem = ".".join(model.split(".")[:2])
    # SentencePiece finds no control symbol in a text; the other libraries were told to.
    allowed = "none" if stem.startswith("sentencepiece") else "all"
    all_ids = []
    for text, want in pairs(folder, stem, name):
        got = tokenizer.encode(text.encode("utf-8", "surrogateescape"), allowed_special=allowed)
        assert got == want, ascii(text[:200])
        all_ids.append(want)
    decoded = folder / "expected" / f"{stem}.{name}.decoded.txt"
    if decoded.exists():
        texts = cases_of(decoded, name == "utf8")
        assert len(texts) >= len(all_ids)
        for ids, text in zip(all_ids, texts, strict=False):
            assert tokenizer.decode(ids) == text

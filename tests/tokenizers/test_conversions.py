"""Load one format, save as another, load again: the same ids, or a refusal that says why."""

from pathlib import Path

import pytest

from llmcore.errors import DataError
from llmcore.tokenizers import Tokenizer

FILES = {
    "tokenizer.json": "tokenizer.json",
    "tiktoken": "ranks.tiktoken",
    "sentencepiece": "tokenizer.model",
    "gguf": "vocabulary.gguf",
    "vocab.txt": "vocab.txt",
    "vocab.json": "vocab.json",
    "llmcore": "folder",
}
PIECES = {"tokenizer.json", "sentencepiece", "gguf", "llmcore"}
EXPRESSED_IN = {
    "sentencepiece.botchan_unigram.model": PIECES,
    "sentencepiece.llama2.model": PIECES,
    "sentencepiece.nai-t5.model": PIECES,
    "tiktoken.cl100k_base.tiktoken": {"tokenizer.json", "tiktoken", "llmcore"},
    "tokenizers.bert_base_cased.json": {"tokenizer.json", "vocab.txt", "llmcore"},
    "tokenizers.gpt2.json": {"tokenizer.json", "tiktoken", "gguf", "vocab.json", "llmcore"},
    "tokenizers.gpt_neox.json": {"tokenizer.json", "llmcore"},
    "tokenizers.mistral03.json": {"tokenizer.json", "llmcore"},
}


@pytest.fixture(scope="module")
def texts(fixtures_dir: Path) -> list[str | bytes]:
    inputs = fixtures_dir / "tokenizers" / "inputs"
    lines = (inputs / "mixed.txt").read_text(encoding="utf-8").split("\n")
    return ["", *lines, (inputs / "utf8.txt").read_bytes()]


@pytest.mark.parametrize("format", FILES)
@pytest.mark.parametrize("model", EXPRESSED_IN)
def test_same_ids_or_a_reason(
    fixtures_dir: Path, tmp_path: Path, texts: list[str | bytes], model: str, format: str
) -> None:
    first = Tokenizer.load(fixtures_dir / "tokenizers" / "models" / model)
    path = tmp_path / FILES[format]
    if format not in EXPRESSED_IN[model]:
        with pytest.raises(DataError, match=r"^[a-z.]+: cannot express .+") as refusal:
            first.save(path, format=format)
        assert "\n" not in str(refusal.value)
        assert list(tmp_path.iterdir()) == []
        return
    second = Tokenizer.load(first.save(path, format=format))
    assert second.special_tokens == first.special_tokens
    assert second.vocab_size == first.vocab_size
    for text in texts:
        ids = first.encode(text, allowed_special="all")
        assert second.encode(text, allowed_special="all") == ids
        assert second.decode(ids) == first.decode(ids)
    # Another round changes nothing in the file.
    again = Tokenizer.load(second.save(tmp_path / "again" / path.name, format=format))
    assert again.encode(texts[-1]) == first.encode(texts[-1])

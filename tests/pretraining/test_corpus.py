"""Documents become ids once; what is held out is never trained on."""

import dataclasses
from pathlib import Path

import pytest

from llmcore.data.documents import Document, read_documents, split_documents
from llmcore.errors import ConfigError, DataError
from llmcore.pretraining import corpus, tokenize_corpus, tokenize_documents
from llmcore.tokenizers import Tokenizer
from tests.support.toy_pretraining import toy_config


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number}.txt").write_text(f"text number {number} <|endoftext|> é\n" * 5)
    return folder


def test_ids_are_those_of_the_tokenizer(tokenizer_dir: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(corpus, "_BATCH_DOCUMENTS", 2)
    tokenizer = Tokenizer.load(tokenizer_dir)
    texts = ["def f(x):\n", "<|endoftext|>", "é x", "fox", "number"]
    tokenized = tokenize_documents([Document(name=text, text=text) for text in texts], tokenizer)
    assert tokenized.num_documents == 5
    for idx, text in enumerate(texts):
        ids = tokenized.ids[tokenized.offsets[idx] : tokenized.offsets[idx + 1]]
        assert ids.tolist() == tokenizer.encode(text)
    assert 0 not in tokenized.ids


def test_the_held_out_part_is_the_seeded_split(tokenizer_dir: Path, data: Path, tmp_path: Path):
    tokenizer = Tokenizer.load(tokenizer_dir)
    config = toy_config(tokenizer_dir, data)
    tokenized = tokenize_corpus(config, tokenizer, tmp_path)
    train, val = split_documents(
        read_documents(data), val_fraction=config.val_fraction, seed=config.split_seed
    )
    assert tokenized.train.digest == tokenize_documents(train, tokenizer).digest
    assert tokenized.val.digest == tokenize_documents(val, tokenizer).digest
    assert not {doc.name for doc in train} & {doc.name for doc in val}
    assert tokenized.separator_id == tokenizer.token_to_id("<|endoftext|>")


def test_the_second_call_takes_the_ids_of_the_first(
    tokenizer_dir: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tokenizer = Tokenizer.load(tokenizer_dir)
    config = toy_config(tokenizer_dir, data)
    first = tokenize_corpus(config, tokenizer, tmp_path)
    calls = []
    work = corpus.tokenize_documents
    monkeypatch.setattr(
        corpus, "tokenize_documents", lambda *args: (calls.append(1), work(*args))[1]
    )
    assert tokenize_corpus(config, tokenizer, tmp_path).train.digest == first.train.digest
    assert calls == []
    (data / "0.txt").write_text("changed text\n")
    tokenize_corpus(config, tokenizer, tmp_path)
    assert len(calls) == 2
    cache = tmp_path / corpus.CACHE_FILE
    cache.write_bytes(cache.read_bytes()[:-1])
    tokenize_corpus(config, tokenizer, tmp_path)
    assert len(calls) == 4


def test_a_tokenizer_that_does_not_fit_is_refused(tokenizer_dir: Path, data: Path, tmp_path: Path):
    config = toy_config(tokenizer_dir, data)
    small = dataclasses.replace(config, model=dataclasses.replace(config.model, vocab_size=300))
    with pytest.raises(ConfigError, match="vocab_size must be at least the tokenizer's 320"):
        tokenize_corpus(small, Tokenizer.load(tokenizer_dir), tmp_path)
    plain = Tokenizer.train(["some text"], vocab_size=260)
    with pytest.raises(ConfigError, match=r"must have the token <\|endoftext\|>"):
        tokenize_corpus(config, plain, tmp_path)


def test_nothing_to_hold_out_is_refused(tokenizer_dir: Path, tmp_path: Path):
    (tmp_path / "one.txt").write_text("a single document\n")
    config = toy_config(tokenizer_dir, tmp_path / "one.txt")
    with pytest.raises(DataError):
        tokenize_corpus(config, Tokenizer.load(tokenizer_dir), tmp_path)

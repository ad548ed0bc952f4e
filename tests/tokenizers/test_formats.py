"""Formats: which one a file is, round trips, refusals, directories."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmcore import _bindings
from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers.formats import METADATA_NAME, read_tokenizer_file, write_tokenizer_file
from tests.support.tokenizer_files import BPE, MERGES, SAMPLES, WRITERS, hf_file, read


@pytest.mark.parametrize(
    ("sample", "name"),
    [
        ("tiktoken", "tiktoken"),
        ("json-bpe", "tokenizer.json"),
        ("json-unigram", "tokenizer.json"),
        ("piece-bpe", "sentencepiece"),
        ("piece-unigram", "sentencepiece"),
        ("gguf-t5", "gguf"),
        ("vocab-txt", "vocab.txt"),
        ("vocab-json", "vocab.json"),
    ],
)
def test_format_is_told_by_content(sample: str, name: str) -> None:
    assert _bindings.detect_format(SAMPLES[sample]) == name


def test_format_of_other_content() -> None:
    assert _bindings.detect_format(MERGES) == "merges.txt"
    assert _bindings.detect_format(b"a b\nab c\n") == "merges.txt"
    assert _bindings.detect_format(b'{"llmcore_tokenizer": 1}') == "llmcore"
    assert _bindings.detect_format(b'\xef\xbb\xbf {"a\\"b": 7}') == "vocab.json"
    assert _bindings.detect_format(b"{\n}\n[UNK]\n") == "tokenizer.json"
    assert _bindings.detect_format(b"{\n[UNK]\n") == "vocab.txt"
    for data in (b"", b"\n\n", b"\x00\x01\x02", b"\xff\xfe"):
        assert _bindings.detect_format(data) == "unknown"
        with pytest.raises(DataError, match="^file: must be tiktoken ranks"):
            _bindings.read_tokenizer(data, "file")


CAN_WRITE = {
    "tiktoken": {"tiktoken", "tokenizer.json", "gguf"},
    "json-bpe": {"tokenizer.json", "gguf", "tiktoken"},
    "json-wordpiece": {"tokenizer.json", "gguf", "vocab.txt"},
    "json-unigram": {"tokenizer.json"},
    "piece-bpe": {"tokenizer.json", "sentencepiece"},
    "piece-unigram": {"tokenizer.json", "sentencepiece", "gguf"},
    "gguf-bpe": {"tokenizer.json", "gguf", "tiktoken"},
    "gguf-llama": {"tokenizer.json", "sentencepiece", "gguf"},
    "gguf-t5": {"tokenizer.json", "sentencepiece", "gguf"},
    "gguf-bert": {"tokenizer.json", "gguf", "vocab.txt"},
    "vocab-txt": {"tokenizer.json", "gguf", "vocab.txt"},
    "vocab-json": {"tokenizer.json", "gguf", "vocab.json", "tiktoken"},
}


def model_of(spec: _bindings.TokenizerSpec) -> dict[str, Any]:
    """What decides the ids."""
    data = spec.to_dict()
    names = ("kind", "byte_level", "tokens", "scores", "merges", "options", "normalizer", "added")
    return {n: data[n] for n in names} | {"pre_tokenizer": json.loads(data["pre_tokenizer"])}


@pytest.mark.parametrize("sample", SAMPLES)
def test_each_format_is_written_or_refused(sample: str) -> None:
    spec = read(SAMPLES[sample])
    for name in WRITERS:
        if name in CAN_WRITE[sample]:
            assert _bindings.detect_format(_bindings.write_tokenizer(spec, name)) == name
        else:
            with pytest.raises(DataError, match=f"^{name}: cannot express "):
                _bindings.write_tokenizer(spec, name)


@pytest.mark.parametrize(
    ("sample", "name"),
    [
        ("json-bpe", "tokenizer.json"),
        ("json-wordpiece", "tokenizer.json"),
        ("json-wordpiece", "vocab.txt"),
        ("json-wordpiece", "gguf"),
        ("json-unigram", "tokenizer.json"),
        ("piece-bpe", "sentencepiece"),
        ("piece-unigram", "sentencepiece"),
        ("piece-unigram", "gguf"),
        ("gguf-bpe", "gguf"),
        ("gguf-llama", "gguf"),
        ("gguf-llama", "sentencepiece"),
        ("gguf-t5", "sentencepiece"),
        ("gguf-bert", "tokenizer.json"),
        ("vocab-txt", "gguf"),
        ("tiktoken", "tiktoken"),
        ("vocab-json", "vocab.json"),
    ],
)
def test_round_trip(sample: str, name: str) -> None:
    spec = read(SAMPLES[sample])
    options: dict[str, Any] = {}
    if name == "vocab.json":
        options = {"merges": _bindings.write_tokenizer(spec, "merges.txt")}
    again = read(_bindings.write_tokenizer(spec, name), **options)
    assert model_of(again) == model_of(spec)


@pytest.mark.parametrize("sample", SAMPLES)
def test_our_directory_keeps_all(sample: str, tmp_path: Path) -> None:
    spec = read(SAMPLES[sample])
    write_tokenizer_file(spec, tmp_path)
    assert read_tokenizer_file(tmp_path).to_dict() == spec.to_dict()
    # A second tokenizer in the same place leaves nothing of the first.
    write_tokenizer_file(read(hf_file(BPE)), tmp_path)
    assert not (tmp_path / METADATA_NAME).exists()


def test_files_and_directories(tmp_path: Path) -> None:
    spec = read(SAMPLES["vocab-json"])
    write_tokenizer_file(spec, tmp_path / "gpt2", format="vocab.json")
    assert (tmp_path / "gpt2" / "merges.txt").read_bytes() == MERGES
    assert read_tokenizer_file(tmp_path / "gpt2").to_dict() == spec.to_dict()
    path = write_tokenizer_file(spec, tmp_path / "x" / "model.bin", format="gguf")
    assert path.name == "model.bin" and read_tokenizer_file(path).vocab_size == 7
    (tmp_path / "gpt2" / "merges.txt").unlink()
    with pytest.raises(DataError, match=r"must have merges.txt beside it"):
        read_tokenizer_file(tmp_path / "gpt2" / "vocab.json")
    with pytest.raises(DataError, match="must hold one of"):
        read_tokenizer_file(tmp_path)
    with pytest.raises(DataError, match="cannot read"):
        read_tokenizer_file(tmp_path / "none")
    with pytest.raises(ConfigError, match="format: must be one of"):
        write_tokenizer_file(spec, tmp_path, format="pickle")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(DataError, match="got an empty file"):
        read_tokenizer_file(tmp_path / "empty")

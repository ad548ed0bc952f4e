"""`vocab.txt`, and `vocab.json` with `merges.txt`."""

import json

import pytest

from llmcore import _bindings
from llmcore.errors import ConfigError
from tests.support.tokenizer_files import SAMPLES, read


def test_plain_vocabularies() -> None:
    spec = read(SAMPLES["vocab-txt"])
    assert spec.kind == "wordpiece" and json.loads(spec.normalizer)["lowercase"] is True
    assert [a["content"] for a in spec.added] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    assert json.loads(read(SAMPLES["vocab-txt"], lowercase=False).normalizer)["lowercase"] is False
    cased = read(SAMPLES["vocab-txt"] + b"Berlin\n")
    assert json.loads(cased.normalizer)["lowercase"] is False
    gpt2 = read(SAMPLES["vocab-json"]).to_dict()
    assert gpt2["byte_level"] and gpt2["merges"] == [(0, 1), (3, 2)]
    with pytest.raises(ConfigError, match="merges must be given"):
        _bindings.read_tokenizer(SAMPLES["vocab-json"], "file")
    vocab = {"a": 0, "b</w>": 1, "ab</w>": 2, "<|endoftext|>": 3}
    clip = read(json.dumps(vocab).encode(), merges=b"a b</w>\n", end_of_word_suffix="</w>")
    assert clip.to_dict()["merges"] == [(0, 1)]
    assert clip.to_dict()["options"]["end_of_word_suffix"] == "</w>"
    assert [(a["id"], a["content"]) for a in clip.added] == [(3, "<|endoftext|>")]

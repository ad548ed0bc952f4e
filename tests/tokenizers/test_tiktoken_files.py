"""Tiktoken rank files: what is read, what is refused."""

import base64
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmcore import _bindings
from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers import Tokenizer
from tests.support.tokenizer_files import BPE, BYTE_LEVEL, SAMPLES, hf_file, rank_file, read


def test_tiktoken_ranks_may_leave_gaps() -> None:
    data = SAMPLES["tiktoken"] + base64.b64encode(b"\xff\xfe") + b" 270\r\n\n"
    spec = read(data, special_tokens={"<e>": 265}, pattern=r"\w+|\W+").to_dict()
    assert spec["kind"] == "bpe" and spec["byte_level"]
    assert spec["options"]["by_rank"] and spec["merges"] == []
    assert len(spec["tokens"]) == 271
    assert spec["tokens"][256:260] == ["th", "the", "Ġt", "Ġth"]
    assert spec["tokens"][260:270] == [""] * 10 and spec["tokens"][270] == "ÿþ"
    assert [(a["id"], a["content"], a["special"]) for a in spec["added"]] == [(265, "<e>", True)]
    assert json.loads(spec["pre_tokenizer"])["pretokenizers"][0]["pattern"] == {"Regex": r"\w+|\W+"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"YQ== 0\nYQ== 1\n", 'token: must be given once, got "a" twice'),
        (b"YQ== 0\nYg== 0\n", "rank: must be given once, got 0 twice"),
        (b"YQ== 0\nYg= 1\n", "line 2: must be a base64 token and its rank"),
        (b"YQ== 0\nYg== -1\n", "line 2: must be a base64"),
        (b"YQ== 0\nYh== 1\n", "line 2: must be a base64"),
        (b"YQ== 0\nYg==  1\n", "line 2: must be a base64"),
        (b"YQ== 0\nYg== 4294967295\n", "line 2: must be a base64"),
        (b"YQ== 0\nYg== 1000000\n", "rank: must be at most 65551 in a file of 2 tokens"),
    ],
)
def test_damaged_ranks_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match="file: ") as caught:
        read(data, special_tokens={})
    assert message in str(caught.value)


def test_unknown_ranks_need_a_pattern() -> None:
    with pytest.raises(ConfigError, match="pattern must be given"):
        _bindings.read_tokenizer(SAMPLES["tiktoken"], "file")
    with pytest.raises(ConfigError, match="special_tokens: must be new ids"):
        read(SAMPLES["tiktoken"], special_tokens={"<e>": 7})
    with pytest.raises(ConfigError, match="special_tokens: must be distinct"):
        read(SAMPLES["tiktoken"], special_tokens={"<e>": 300, "<f>": 300})


def test_merges_of_ranks_are_the_last_step_of_each_token() -> None:
    data = rank_file((b"in", b"ing", b"ng", b"king", b"zz"))
    spec = json.loads(_bindings.write_tokenizer(read(data), "tokenizer.json"))
    assert spec["model"]["merges"] == [
        ["i", "n"],
        ["in", "g"],
        ["n", "g"],
        ["k", "ing"],
        ["z", "z"],
    ]
    assert spec["model"]["ignore_merges"] is True
    assert spec["model"]["vocab"]["<e>"] == 300


def test_tiktoken_needs_merges_in_the_order_of_ids() -> None:
    swapped = BPE | {"vocab": {"a": 0, "b": 1, "c": 2, "abc": 3, "ab": 4}}
    spec = read(hf_file(swapped, pre_tokenizer=BYTE_LEVEL))
    with pytest.raises(DataError, match="cannot express (merges whose|token)"):
        _bindings.write_tokenizer(spec, "tiktoken")


def test_ranks_find_their_pairs_at_the_first_merge(tmp_path: Path) -> None:
    """Threads that all come first, and a child forked before any merge, give the same ids."""
    (tmp_path / "ranks.tiktoken").write_bytes(rank_file((b"in", b"ing", b"ng", b"king", b"zz")))

    def load() -> Tokenizer:
        return Tokenizer.load(tmp_path / "ranks.tiktoken", pattern="gpt2")

    text = "singing kings zzz, pinging"
    want = load().encode(text)
    fresh = load()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(fresh.encode, [text] * 32)) == [want] * 32
    assert load().encode_batch([text] * 9, 4)[0].tolist() == want * 9
    forked = load()
    if (child := os.fork()) == 0:
        os._exit(0 if forked.encode(text) == want else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert forked.encode(text) == want


def test_a_long_token_that_no_merge_makes_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "ranks.tiktoken").write_bytes(rank_file((b"xy" * 513,)))
    with pytest.raises(DataError, match="at most 1024 bytes, got 1026"):
        Tokenizer.load(tmp_path / "ranks.tiktoken", pattern="gpt2")

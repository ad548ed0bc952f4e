"""The public Tokenizer: round trips, special tokens, batches, offsets, bad arguments."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers import Tokenizer

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEXT = "def f(x):\n    return x + 1\n\nIt's the naïve 日本語 text, isn't it? " * 50


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([TEXT], vocab_size=300, special_tokens=SPECIALS)


def test_ids_start_with_the_special_tokens_and_the_byte_alphabet(tokenizer: Tokenizer) -> None:
    assert tokenizer.special_tokens == {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2}
    assert tokenizer.id_to_bytes(3) == b"!"
    assert tokenizer.token_to_id("!") == 3
    assert tokenizer.token_to_id("<|im_end|>") == 2
    assert tokenizer.token_to_id("no such token") is None
    assert tokenizer.vocab_size == 300
    assert sorted(tokenizer.id_to_bytes(i) for i in range(3, 259)) == [
        bytes([b]) for b in range(256)
    ]


@given(data=st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_come_back(tokenizer: Tokenizer, data: bytes) -> None:
    ids = tokenizer.encode(data)
    assert tokenizer.decode_bytes(ids) == data
    assert tokenizer.decode(ids) == data.decode("utf-8", errors="replace")


@given(text=st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.encode_array(text).tolist() == ids


def test_words_become_fewer_tokens(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode(TEXT)) < len(TEXT.encode()) / 2


def test_special_text_is_ordinary_unless_allowed(tokenizer: Tokenizer) -> None:
    text = "a<|im_start|>b<|im_end|>"
    plain = tokenizer.encode(text)
    assert not set(plain) & {0, 1, 2}
    assert tokenizer.decode(plain) == text
    everything = tokenizer.encode(text, allowed_special="all")
    assert [i for i in everything if i < 3] == [1, 2]
    some = tokenizer.encode(text, allowed_special={"<|im_end|>"})
    assert [i for i in some if i < 3] == [2]
    for ids in (plain, everything, some):
        assert tokenizer.decode(ids) == text
    assert tokenizer.decode(everything, skip_special_tokens=True) == "ab"


def test_longest_special_token_wins() -> None:
    t = Tokenizer.train([TEXT], vocab_size=300, special_tokens=["<a>", "<a><b>"])
    assert t.encode("<a><b><a>", allowed_special="all") == [1, 0]
    assert t.encode("<a><b><a>", allowed_special={"<a>"})[0] == 0


@pytest.mark.parametrize("bad", ["<|im_start|>", "", "ALL"])
def test_unknown_guard_word(tokenizer: Tokenizer, bad: str) -> None:
    with pytest.raises(ConfigError, match="allowed_special must be 'none', 'all' or a set"):
        tokenizer.encode("x", allowed_special=bad)


def test_unknown_special_token(tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError, match="must name special tokens, got '<x>'"):
        tokenizer.encode("x", allowed_special={"<x>"})


def test_lone_surrogate_is_a_data_error(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match="lone surrogate"):
        tokenizer.encode("a\ud800b")


@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_batch_equals_single_calls(tokenizer: Tokenizer, num_threads: int) -> None:
    texts = ["", "a", TEXT * 300, "<|im_end|>", "x" * 100_000, "", " \n" * 9_999 + "y"]
    ids, offsets = tokenizer.encode_batch(texts, num_threads=num_threads)
    assert ids.dtype == np.uint32 and offsets.dtype == np.int64
    assert offsets[0] == 0 and offsets[-1] == len(ids) and len(offsets) == len(texts) + 1
    for i, text in enumerate(texts):
        assert ids[offsets[i] : offsets[i + 1]].tolist() == tokenizer.encode(text)


def test_batch_with_special_tokens_and_bytes(tokenizer: Tokenizer) -> None:
    texts: list[str | bytes] = [TEXT * 200 + "<|im_end|>", b"\xff<|endoftext|>\x80"]
    ids, offsets = tokenizer.encode_batch(texts, num_threads=2, allowed_special="all")
    assert ids[offsets[1] - 1] == 2
    assert ids[offsets[1] :].tolist() == tokenizer.encode(texts[1], allowed_special="all")


def test_empty_batch(tokenizer: Tokenizer) -> None:
    ids, offsets = tokenizer.encode_batch([])
    assert ids.tolist() == [] and offsets.tolist() == [0]


def test_batch_refuses_what_is_not_text(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match="must be str or bytes, got int"):
        tokenizer._pipeline.encode_batch(["a", 3], [True] * 3, False, 2)
    with pytest.raises(ConfigError, match="num_threads must be at least 1"):
        tokenizer.encode_batch(["a"], num_threads=0)


def test_offsets_name_the_characters_of_each_token(tokenizer: Tokenizer) -> None:
    text = "naïve 😀!<|im_end|>日"
    ids, spans = tokenizer.encode_with_offsets(text, allowed_special="all")
    assert len(ids) == len(spans)
    assert spans[0][0] == 0 and spans[-1][1] == len(text)
    for token_id, (start, end) in zip(ids, spans, strict=True):
        assert tokenizer.id_to_bytes(token_id) in text[start:end].encode()
    assert spans[ids.index(2)] == (text.index("<"), text.index(">") + 1)


@pytest.mark.parametrize("ids", [[300], [-1], [2**32], [0, 2**70]])
def test_decode_refuses_unknown_ids(tokenizer: Tokenizer, ids: list[int]) -> None:
    with pytest.raises(DataError, match=r"decode: ids must be"):
        tokenizer.decode(ids)
    with pytest.raises(DataError, match=r"ids must be in \[0, 300\)"):
        tokenizer.id_to_bytes(ids[-1])


def test_decode_refuses_what_are_not_ids(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match="must be integers"):
        tokenizer.decode_bytes(np.zeros(2))
    with pytest.raises(DataError, match="must have one axis"):
        tokenizer.decode_bytes(np.zeros((2, 2), np.int64))
    assert tokenizer.decode(np.array([], np.int64)) == ""


def test_many_threads_share_one_tokenizer(tokenizer: Tokenizer) -> None:
    want = tokenizer.encode(TEXT)
    wrong: list[int] = []

    def work() -> None:
        for _ in range(20):
            if tokenizer.encode(TEXT) != want:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_unknown_algorithm() -> None:
    with pytest.raises(ConfigError, match="algorithm must be 'bpe', .*, got 'bytes'"):
        Tokenizer.train(["a"], vocab_size=300, algorithm="bytes")


def test_a_disallowed_token_is_refused_unless_it_is_allowed(tokenizer: Tokenizer) -> None:
    text = "a<|im_end|>b"
    with pytest.raises(DataError, match=r"must not spell the special token '<\|im_end\|>'"):
        tokenizer.encode(text, disallowed_special="all")
    with pytest.raises(DataError, match="must not spell"):
        tokenizer.encode_array(text.encode(), disallowed_special={"<|im_end|>"})
    allowed = tokenizer.encode(text, allowed_special={"<|im_end|>"}, disallowed_special="all")
    assert allowed == tokenizer.encode(text, allowed_special="all")
    assert tokenizer.encode(text, disallowed_special={"<|endoftext|>"}) == tokenizer.encode(text)
    with pytest.raises(ConfigError, match="disallowed_special must name special tokens, got 'x'"):
        tokenizer.encode(text, disallowed_special={"x"})
    with pytest.raises(ConfigError, match="disallowed_special must be 'none', 'all' or a set"):
        tokenizer.encode(text, disallowed_special="some")


def test_byte_tokens_of_a_suffix_end_with_the_piece(tmp_path: Path) -> None:
    """They stand for no byte of the text; their ends once led behind it."""
    tokens = ["a", *(f"<0x{b:02X}>" for b in range(256))]
    model = {"type": "BPE", "vocab": {t: i for i, t in enumerate(tokens)}, "merges": []}
    model |= {"byte_fallback": True, "end_of_word_suffix": "</w>"}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"version": "1.0", "model": model}), encoding="utf-8")
    ids, spans = Tokenizer.load(path).encode_with_offsets("ab")
    assert list(ids) == [0, *(1 + b for b in b"b</w>")]
    assert [tuple(span) for span in spans[:2]] == [(0, 1), (1, 2)]
    assert all(begin == end for begin, end in spans[2:])

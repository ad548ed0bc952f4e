"""WordPiece against Hugging Face `tokenizers`: ids and offsets."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import tokenizers as hf

from llmcore import _bindings

pytestmark = pytest.mark.parity


def build_both(
    tokens: list[str], unk_token: str = "[UNK]", prefix: str = "##", max_chars: int = 100
) -> tuple[_bindings.WordPiece, Any]:
    ours = _bindings.WordPiece.build(tokens, unk_token, prefix, max_chars)
    theirs = hf.models.WordPiece(
        vocab={t: i for i, t in enumerate(tokens)},
        unk_token=unk_token,
        max_input_chars_per_word=max_chars,
        continuing_subword_prefix=prefix,
    )
    return ours, theirs


def assert_same(ours: _bindings.WordPiece, theirs: Any, word: str) -> None:
    want = theirs.tokenize(word)
    ids, ends = ours.encode_with_ends(word)
    assert ids.tolist() == [t.id for t in want], word
    assert ends.tolist() == [t.offsets[1] for t in want], word


@pytest.fixture(scope="module")
def bert(fixtures_dir: Path) -> tuple[_bindings.WordPiece, Any]:
    path = fixtures_dir / "tokenizers" / "models" / "tokenizers.bert_base_cased.json"
    model = json.loads(path.read_text("utf-8"))["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    assert [model["vocab"][t] for t in tokens] == list(range(len(tokens)))
    return build_both(
        tokens,
        model["unk_token"],
        model["continuing_subword_prefix"],
        model["max_input_chars_per_word"],
    )


@pytest.mark.parametrize("name", ["botchan.txt", "wagahaiwa_nekodearu.txt", "gsm8k_test.jsonl"])
def test_words_of_the_corpora(
    name: str, bert: tuple[_bindings.WordPiece, Any], fixtures_dir: Path
) -> None:
    words = set((fixtures_dir / "corpora" / name).read_text("utf-8").split())
    assert len(words) > 1000
    for word in words:
        assert_same(*bert, word)


def test_lengths_around_the_limit(bert: tuple[_bindings.WordPiece, Any]) -> None:
    for letter in ["a", "é", "日", "😀"]:
        for size in [1, 2, 25, 26, 33, 34, 50, 51, 99, 100, 101, 150]:
            assert_same(*bert, letter * size)
            assert_same(*bert, "a" + letter * (size - 1))


def test_every_token_and_its_neighbours(bert: tuple[_bindings.WordPiece, Any]) -> None:
    rng = random.Random(4)
    tokens = [bert[1].id_to_token(i) for i in range(0, bert[0].size, 7)]
    for token in tokens:
        assert_same(*bert, token)
        assert_same(*bert, token.removeprefix("##") + rng.choice(tokens).removeprefix("##"))
        assert_same(*bert, token[:-1] or token)


@pytest.mark.parametrize("seed", range(150))
def test_random_vocabularies(seed: int) -> None:
    """Few letters, so that long tokens fail late and many times; characters that are missing."""
    rng = random.Random(seed)
    prefix = rng.choice(["##", "", "@", "a", "é", "##"])
    alphabet = rng.choice(["ab", "abé", "a#", "ab日"])
    tokens = {"[UNK]"}
    for _ in range(rng.randrange(1, 40)):
        text = "".join(rng.choice(alphabet) for _ in range(rng.randrange(1, 9)))
        tokens.add(prefix + text if rng.random() < 0.7 else text)
    if rng.random() < 0.7:
        tokens |= {letter for letter in alphabet} | {prefix + letter for letter in alphabet}
    if rng.random() < 0.3:
        tokens.add(prefix or "b")
    ordered = sorted(tokens)
    rng.shuffle(ordered)
    both = build_both(ordered, prefix=prefix, max_chars=rng.choice([5, 20, 100]))
    for _ in range(150):
        letters = alphabet + rng.choice(["", "x", "#"])
        size = rng.choice([2, 5, 12, 40])
        assert_same(*both, "".join(rng.choice(letters) for _ in range(rng.randrange(1, size))))


def test_a_missing_unknown_token_fails_alike() -> None:
    from llmcore.errors import DataError

    ours, theirs = build_both(["a", "##b"])
    assert ours.encode("abb").tolist() == [0, 1, 1]
    with pytest.raises(Exception, match="UNK"):
        theirs.tokenize("b")
    with pytest.raises(DataError, match="unk_token is not a token"):
        ours.encode("b")

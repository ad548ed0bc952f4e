"""Unigram training: suffix arrays, one step of EM by definition, options, threads, files."""

import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmcore._bindings import Normalizer, TokenizerSpec, WordCounter, suffix_array
from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers import Tokenizer
from llmcore.tokenizers.unigram_training import (
    SPACE_MARK,
    charsmap_of,
    sentencepiece_normalizer,
    train_unigram,
)
from tests.support.unigram_by_definition import (
    digamma,
    expected_uses,
    paths,
    seeds_by_definition,
)

TEXT = (
    "the cat sat on the mat and the dog sat on the cat while 12 birds sang in 2024 "
    "there is no place like the other place where the others sat and sang and sang "
)


def counter_of(words: dict[str, int]) -> WordCounter:
    counter = WordCounter(1)
    for word, count in words.items():
        counter.add(word.encode(), count)
    return counter


def words_of(text: str) -> dict[str, int]:
    return dict(Counter(SPACE_MARK + word for word in text.split()))


def train(words: dict[str, int], **options: Any) -> TokenizerSpec:
    options = {"vocab_size": 60, "hard_vocab_limit": False, "normalizer": "identity", **options}
    return train_unigram(counter_of(words), **options)


def pieces_of(spec: TokenizerSpec) -> dict[str, float]:
    data = spec.to_dict()
    return {t: s for t, s in zip(data["tokens"], data["scores"], strict=True) if t}


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
@settings(max_examples=300, deadline=None)
def test_suffix_array(text: list[int]) -> None:
    suffixes, shared = suffix_array(text, 5)
    assert suffixes.tolist() == sorted(range(len(text)), key=lambda i: text[i:])
    for before, i in zip(suffixes.tolist(), suffixes.tolist()[1:], strict=False):
        a, b = text[before:], text[i:]
        want = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
        assert shared[i] == (min(len(a), len(b)) if want is None else want)


def maximised(expected: dict[str, float]) -> dict[str, float]:
    """Maximisation: scores of the pieces whose expectation is at least a half."""
    kept = {piece: n for piece, n in expected.items() if n >= 0.5}
    log_total = digamma(sum(kept.values()))
    return {piece: digamma(n) - log_total for piece, n in kept.items()}


@given(
    words=st.dictionaries(st.text("abc", min_size=1, max_size=7), st.integers(1, 9), min_size=1),
    longest=st.integers(1, 8),
)
@settings(max_examples=150, deadline=None)
def test_seeds_and_a_step_of_em_follow_their_definition(
    words: dict[str, int], longest: int
) -> None:
    seeds = seeds_by_definition(words, longest)
    total = sum(seeds.values())
    expected = expected_uses(words, {p: math.log(n / total) for p, n in seeds.items()})
    # One that is a half but for rounding may be kept or not: {"a": 9, "aaabc": 1} and "aa".
    assume(all(abs(n - 0.5) > 1e-4 for n in expected.values()))
    want = maximised(expected)
    spec = train(
        words,
        vocab_size=1000,
        character_coverage=1.0,
        num_sub_iterations=1,
        max_sentencepiece_length=longest,
    )
    got = pieces_of(spec)
    least = min(score for piece, score in want.items() if piece in got)
    for piece, score in got.items():
        if piece in want:
            assert score == pytest.approx(want[piece], abs=2e-5)
        else:
            assert (
                len(piece) == 1 and least - 1e-5 <= score < least + 0.01
            )  # a character that EM lost
    for piece in want.keys() - got.keys():  # only where another path is better
        others = {p: s for p, s in want.items() if p != piece}
        alternatives = [sum(want[p] for p in path) for path in paths(piece, others)]
        assert alternatives and max(alternatives) > want[piece] - 1e-4


def big_words() -> dict[str, int]:
    rng = random.Random(3)
    parts = ["an", "ti", "con", "form", "ation", "s", "re", "日本", "語", "ing", "un", "a"]
    return {
        SPACE_MARK + "".join(rng.choices(parts, k=rng.randint(1, 5))): rng.randint(1, 50)
        for _ in range(20000)
    }


def test_threads_and_order_change_nothing() -> None:
    words = big_words()
    options = {"vocab_size": 200, "hard_vocab_limit": True}
    one = train(words, num_threads=1, **options).to_dict()
    assert train(words, num_threads=2, **options).to_dict() == one
    shuffled = list(words.items())
    random.Random(1).shuffle(shuffled)
    assert train(dict(shuffled), num_threads=3, **options).to_dict() == one
    assert len(one["tokens"]) == 200


def test_pruning_keeps_what_the_text_is_made_of() -> None:
    pieces = pieces_of(train(big_words(), vocab_size=120))
    assert {"form", "ation", "日本", "ing"} <= pieces.keys()
    assert sum(math.exp(score) for score in pieces.values()) == pytest.approx(1, abs=0.05)


def test_words_of_a_million_characters() -> None:
    spec = train({"a" * 1_000_000: 3, "ab" * 500_000: 2}, vocab_size=30)
    assert len(Tokenizer(spec).encode("a" * 4096)) <= 4096 / 8


def test_a_word_whose_probability_no_float_holds() -> None:
    # Long pieces beside unlikely characters: paths of very different size in one word.
    rng = random.Random(0)
    letters = [chr(0x4E00 + i) for i in range(3000)]
    words = {"".join(rng.choices(letters, k=4000)): 1 for _ in range(3)}
    words["".join(letters[:512]) * 4] = 50
    spec = train(words, vocab_size=4000, character_coverage=1.0, max_sentencepiece_length=512)
    assert all(math.isfinite(score) for score in pieces_of(spec).values())


def test_counts_beyond_32_bits() -> None:
    pieces = pieces_of(train({word: n << 40 for word, n in words_of(TEXT).items()}))
    learned = sum(math.exp(score) for score in pieces.values() if score < 0)
    assert SPACE_MARK + "the" in pieces and 0.9 < learned < 1.01


def test_sentences_are_cut_at_spaces() -> None:
    sentence = "".join(SPACE_MARK + word for word in TEXT.split())
    assert (
        train({sentence: 2}).to_dict()
        == train({word: 2 * count for word, count in words_of(TEXT).items()}).to_dict()
    )
    whole = pieces_of(train({sentence: 5, sentence * 2: 5}, split_by_whitespace=False))
    inner = [piece for piece in whole if SPACE_MARK in piece[1:]]
    assert inner and not any(piece[1:].endswith(SPACE_MARK) for piece in whole)


def test_space_behind_the_word() -> None:
    words = {word + SPACE_MARK: count for word, count in Counter(TEXT.split()).items()}
    pieces = pieces_of(train(words, treat_whitespace_as_suffix=True))
    assert "the" + SPACE_MARK in pieces
    assert not any(SPACE_MARK in piece[:-1] for piece in pieces)
    sentence = "".join(words)
    again = train({sentence: 3}, treat_whitespace_as_suffix=True)
    assert (
        again.to_dict() == train(dict.fromkeys(words, 3), treat_whitespace_as_suffix=True).to_dict()
    )


def test_pieces_of_spaces_alone() -> None:
    words = {SPACE_MARK * 4 + "x": 9, SPACE_MARK * 4 + "y": 9, SPACE_MARK * 2 + "y": 3}
    assert SPACE_MARK * 4 in pieces_of(train(words, allow_whitespace_only_pieces=True))
    assert SPACE_MARK * 4 not in pieces_of(train(words))


def test_scripts_and_digits() -> None:
    words = {"ab12": 9, "cd12": 9, "abж": 9, "xabж": 9, "カン漢": 9, "サカン漢": 9}
    pieces = pieces_of(train(words))
    assert not any(p in pieces for p in ("ab12", "abж")) and "カン漢" in pieces
    assert "abж" in pieces_of(train(words, split_by_unicode_script=False))
    assert "ab12" in pieces_of(train(words, split_by_number=False))
    digits = pieces_of(train({"2024": 50, "2023": 50}, split_digits=True))
    assert not any(len(piece) > 1 and piece[0] == "2" for piece in digits)


def test_coverage_and_required_characters() -> None:
    words = {"a" * 10: 100, "ab": 300, "q": 1}
    assert "q" not in pieces_of(train(words, character_coverage=0.98))
    assert "q" in pieces_of(train(words, character_coverage=1.0))
    wanted = pieces_of(train(words, character_coverage=0.98, required_chars="qé"))
    assert {"q", "é"} <= wanted.keys()


def test_meta_pieces_and_their_ids() -> None:
    spec = train(
        {SPACE_MARK + "abcab": 9, SPACE_MARK + "x<sep>y": 5, "<sep>": 4},
        vocab_size=400,
        unk_id=3,
        bos_id=-1,
        pad_id=0,
        eos_id=7,
        control_symbols=["<cls>"],
        user_defined_symbols=["<sep>"],
        byte_fallback=True,
    )
    tokenizer = Tokenizer(spec)
    assert [tokenizer.id_to_token(i) for i in (0, 1, 2, 3, 4, 7)] == [
        "<pad>", "<cls>", "<sep>", "<unk>", "<0x00>", "</s>",
    ]  # fmt: skip
    assert not any("<" in piece and len(piece) < 5 for piece in pieces_of(spec))
    ids = tokenizer.encode("ab<sep>日")
    assert 2 in ids and tokenizer.decode(ids) == "ab<sep>日"


def test_files_of_it_load(tmp_path: Path) -> None:
    normalizer = Normalizer.from_json(sentencepiece_normalizer())
    words: Counter[str] = Counter()
    for line in (TEXT, "ｆｕｌｌ　width and\ttabs"):
        text = bytes(normalizer.apply(line)[0]).decode()
        words.update(SPACE_MARK + w for w in text.split(SPACE_MARK) if w)
    tokenizer = Tokenizer(train(dict(words), normalizer="nmt_nfkc"))
    ids = tokenizer.encode(TEXT + "ｆｕｌｌ")
    assert tokenizer.decode(ids) == TEXT + "full"
    for name, format in (("t.model", "sentencepiece"), ("d", "llmcore")):
        again = Tokenizer.load(tokenizer.save(tmp_path / name, format=format))
        assert again.encode(TEXT + "ｆｕｌｌ") == ids
    spaced = Tokenizer(train(dict(words), remove_extra_whitespaces=False))
    again = Tokenizer.load(spaced.save(tmp_path / "t.json", format="tokenizer.json"))
    assert again.encode(TEXT) == spaced.encode(TEXT)


def test_progress_is_told_and_may_stop() -> None:
    told: list[tuple[str, int, int]] = []
    train(big_words(), vocab_size=120, progress=lambda *args: told.append(args))
    assert told and told[-1][0] == "prune" and told[-1][2] == 120

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(big_words(), vocab_size=120, progress=stop)


def test_charsmaps() -> None:
    assert charsmap_of("identity") == b""
    nfkc = Normalizer.from_json(sentencepiece_normalizer("nfkc", add_dummy_prefix=False))
    assert bytes(nfkc.apply("ﬁ①が가～")[0]).decode() == "fi1が가~"
    nmt = Normalizer.from_json(sentencepiece_normalizer(add_dummy_prefix=False))
    assert bytes(nmt.apply("a\x01b\u200bc～")[0]).decode() == f"ab{SPACE_MARK}c～"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 5}, "vocab_size must be at least .* or lower character_coverage"),
        ({"vocab_size": 5000, "hard_vocab_limit": True}, "vocab_size must be at most"),
        ({"character_coverage": 0.5}, "character_coverage must be from 0.98"),
        ({"shrinking_factor": 0.99}, "shrinking_factor must be from 0.5"),
        ({"num_sub_iterations": 0}, "num_sub_iterations must be from 1 to 10"),
        ({"max_sentencepiece_length": 0}, "max_sentencepiece_length must be from 1 to 512"),
        ({"vocab_size": -1}, "vocab_size is out of range"),
        ({"unk_id": -1}, "unk_id must be at least 0"),
        ({"bos_id": 0}, "bos_id must differ"),
        ({"pad_id": 60}, "pad_id must be below vocab_size"),
        ({"control_symbols": ["a", "a"]}, "must be distinct"),
        ({"user_defined_symbols": ["<unk>"]}, "not unk_piece"),
        ({"normalizer": "nfd"}, "normalizer must be 'nmt_nfkc'"),
        ({"vocabulary": 1}, "options must be those of Unigram"),
        ({"num_threads": 0}, "num_threads must be at least 1"),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train(words_of(TEXT), **options)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "got none"),
        ({"a b": 1}, "with a space"),
        ({"ab": 2**62}, "shorter than 2"),
    ],
)
def test_bad_words(words: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        train(words)

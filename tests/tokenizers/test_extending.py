"""`Tokenizer.extend` of WordPiece and Unigram: definition, old ids, threads, new text, files."""

import json
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llmcore._bindings import TokenizerSpec, WordCounter
from llmcore.errors import ConfigError
from llmcore.tokenizers import Tokenizer, WordCounts, counts_for
from llmcore.tokenizers.unigram_training import (
    SPACE_MARK,
    UnigramExtension,
    extend_unigram,
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


def words_of(text: str) -> dict[str, int]:
    return dict(Counter(SPACE_MARK + word for word in text.split()))


def train(words: dict[str, int], **options: Any) -> TokenizerSpec:
    counter = WordCounter(1)
    for word, count in words.items():
        counter.add(word.encode(), count)
    options = {"vocab_size": 60, "hard_vocab_limit": False, "normalizer": "identity", **options}
    return train_unigram(counter, **options)


def pieces_of(spec: TokenizerSpec) -> dict[str, float]:
    data = spec.to_dict()
    return {t: s for t, s in zip(data["tokens"], data["scores"], strict=True) if t}


def many_words() -> dict[str, int]:
    rng = random.Random(3)
    parts = ["an", "ti", "con", "form", "ation", "s", "re", "日本", "語", "ing", "un", "a"]
    return {
        SPACE_MARK + "".join(rng.choices(parts, k=rng.randint(1, 5))): rng.randint(1, 50)
        for _ in range(20000)
    }


def extend(spec: TokenizerSpec, words: dict[str, int], **options: Any) -> TokenizerSpec:
    def count() -> WordCounts:
        counts = WordCounts()
        for word, times in words.items():
            counts.native.add(word.encode(), times)
        return counts

    return extend_unigram(spec, count, UnigramExtension(**options))


def with_unknown(words: dict[str, int], scores: dict[str, float]) -> dict[str, float]:
    """Characters without a piece cost ten more than the worst piece."""
    unknown = min(0.0, *scores.values()) - 10
    return {c: unknown for word in words for c in word} | scores


def pruned(
    words: dict[str, int], old: dict[str, float], new: dict[str, float], mass: float, size: int
) -> dict[str, float]:
    """The new pieces whose removal costs most; each must be the best path of its own text."""
    scores = with_unknown(words, old | new)
    counts: Counter[str] = Counter()
    for word, n in words.items():
        best = max(paths(word, scores), key=lambda path: sum(scores[p] for p in path))
        counts.update({p: n * k for p, k in Counter(best).items()})
    total = sum(n for p, n in counts.items() if p in old or p in new)
    losses: dict[str, float] = {}
    for piece in new:
        others = {p: s for p, s in scores.items() if p != piece}
        found = [] if len(piece) == 1 else list(paths(piece, others))
        path = max(found, key=lambda path: sum(others[p] for p in path), default=[])
        if counts[piece] == 0 or (path and sum(others[p] for p in path) > new[piece]):
            continue
        losses[piece] = math.inf
        if path:
            n = counts[piece]
            after = total + n * (len(path) - 1)
            loss = math.log(n / total) + mass
            for p in path:
                held = counts[p] if p in new else 0
                loss -= old[p] if p in old else math.log((held + n) / after) + mass
            losses[piece] = n * loss
    order = sorted(losses, key=lambda p: -losses[p])
    kept = order[:size] + [p for p in order[size:] if losses[p] == math.inf]
    return {p: new[p] for p in kept}


def extended_by_definition(
    old: dict[str, float], words: dict[str, int], size: int, steps: int
) -> dict[str, float]:
    mass = math.log(sum(math.exp(score) for score in old.values()))
    seeds = {p: n for p, n in seeds_by_definition(words, 16).items() if p not in old}
    total = sum(seeds.values())
    new = {p: math.log(n / total) + mass for p, n in seeds.items()}
    wanted = int(size * 1.1)
    while True:
        for _ in range(steps):
            scores = with_unknown(words, old | new)
            expected = expected_uses(words, scores)
            expected = {p: n for p, n in expected.items() if p in old or (p in new and n >= 0.5)}
            log_total = digamma(sum(expected.values()))
            new = {p: digamma(expected[p]) - log_total + mass for p in new if p in expected}
        if len(new) <= wanted:
            break
        before = len(new)
        new = pruned(words, old, new, mass, max(wanted, int(0.75 * before)))
        if len(new) == before:
            break
    scores = with_unknown(words, old | new)
    for piece in list(new):
        others = {p: s for p, s in scores.items() if p != piece and len(p) < len(piece)}
        found = [sum(others[p] for p in path) for path in paths(piece, others)]
        if len(piece) > 1 and max(found) > new[piece]:
            del new[piece]
    chars = {c for word in words for c in word} - old.keys()
    seen = {c: sum(word.count(c) * n for word, n in words.items()) for c in chars}
    lost = sorted(chars - new.keys(), key=lambda c: (-seen[c], c))
    least = min([0.0, *old.values(), *new.values()])
    new |= {c: least + 0.0001 * i for i, c in enumerate(lost)}
    best = sorted(new, key=lambda p: (p not in chars, -new[p]))[:size]
    return {p: new[p] for p in sorted(best, key=lambda p: -new[p])}


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("seed", range(8))
def test_extending_follows_its_definition(seed: int, steps: int) -> None:
    rng = random.Random(seed)

    def words(letters: str, count: int) -> dict[str, int]:
        parts = ["".join(rng.choices(letters, k=rng.randint(1, 3))) for _ in range(6)]
        made = ("".join(rng.choices(parts, k=rng.randint(1, 3))) for _ in range(count))
        return {word: rng.randint(1, 400) for word in made}

    spec = train(words("abc", 20), vocab_size=12, num_sub_iterations=steps)
    old = {p: s for p, s in pieces_of(spec).items() if s < 0}
    new_words = words("abcdé" if seed % 2 else "abc", 30)
    size = len(spec.to_dict()["tokens"]) + 9
    options = {"character_coverage": 1.0, "num_sub_iterations": steps}
    more = extend(spec, new_words, vocab_size=size, **options)
    before, after = spec.to_dict(), more.to_dict()
    kept = len(before["tokens"])
    assert after["tokens"][:kept] == before["tokens"]
    assert after["scores"][:kept] == before["scores"]
    want = extended_by_definition(old, new_words, 9, steps)
    assert after["tokens"][kept:] == list(want)
    assert after["scores"][kept:] == pytest.approx(list(want.values()), abs=1e-4)


def test_extending_by_threads_and_order() -> None:
    old = train(words_of(TEXT))
    words = many_words()
    one = extend(old, words, vocab_size=200, num_threads=1).to_dict()
    assert extend(old, words, vocab_size=200, num_threads=2).to_dict() == one
    shuffled = list(words.items())
    random.Random(1).shuffle(shuffled)
    assert extend(old, dict(shuffled), vocab_size=200, num_threads=3).to_dict() == one
    assert len(one["tokens"]) == 200 and {"日", "本"} <= set(one["tokens"])


def test_a_long_word_whose_weights_sum_to_more_than_one() -> None:
    # Old pieces have a sum of one, new ones come on top: paths of "a" grow beyond floats.
    old = train({"a": 90, "b": 90})

    def learned(length: int) -> dict[str, float]:
        return pieces_of(extend(old, {"a" * length: 1, "ab": 3}, vocab_size=20))

    more, less = learned(100_000), learned(1000)
    longest = max(more, key=lambda piece: piece.count("a"))
    assert len(longest) > 8 and more[longest] == pytest.approx(less[longest], abs=0.1)


def test_meta_pieces_are_no_text_to_extend_on() -> None:
    old = train(words_of(TEXT), user_defined_symbols=["<sep>"], control_symbols=["<cls>"])
    more = extend(old, {SPACE_MARK + "x<sep>x<cls>x": 50, "<sep>": 9}, vocab_size=70)
    new = pieces_of(more).keys() - pieces_of(old).keys()
    assert "x" in new and not any(c in piece for piece in new for c in "<>")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"character_coverage": 1.5}, "extend: character_coverage must be from 0.0* to 1.0*, got"),
        ({"shrinking_factor": 0.99}, "extend: shrinking_factor must be from 0.5"),
        ({"num_sub_iterations": 0}, "extend: num_sub_iterations must be from 1 to 10"),
        ({"max_sentencepiece_length": 0}, "extend: max_sentencepiece_length must be from 1"),
        ({}, r"at least \d+ \(the vocabulary and the new characters\), got \d+; or lower char"),
        ({"vocab_size": -1}, "extend: vocab_size is out of range"),
    ],
)
def test_extensions_that_cannot_be(options: dict[str, Any], message: str) -> None:
    old = train(words_of(TEXT))
    size = len(old.to_dict()["tokens"])
    with pytest.raises(ConfigError, match=message):
        extend(old, {"éß": 9, "é": 9}, **({"vocab_size": size + 1} | options))


def test_spaces_must_be_marked_to_extend() -> None:
    with pytest.raises(ConfigError, match="must mark spaces with U.2581, got one that leaves them"):
        extend(train(words_of(TEXT)), {"a b": 1}, vocab_size=70)


# --- both -------------------------------------------------------------------------------------

RNG = random.Random(11)
SYLLABLES = ["ka", "ro", "mi", "ne", "tsu", "é", "日", "本", "go"]
LEXICON = ["".join(RNG.choices(SYLLABLES, k=RNG.randint(1, 4))) for _ in range(400)]
OLD = [" ".join(RNG.choices(LEXICON[:200], k=30)) for _ in range(100)]
NEW = [" ".join(RNG.choices(LEXICON[200:], k=30)) + " ñ語ñ\n" for _ in range(100)]
BOTH = ["wordpiece", "unigram"]


def trained(algorithm: str, **options: Any) -> Tokenizer:
    if algorithm == "unigram":
        options["hard_vocab_limit"] = False
    return Tokenizer.train(OLD, vocab_size=150, algorithm=algorithm, **options)


def spec_of(tokenizer: Tokenizer) -> dict[str, Any]:
    spec: dict[str, Any] = tokenizer._pipeline.spec.to_dict()
    return spec


@pytest.mark.parametrize("algorithm", BOTH)
def test_old_ids_stay_and_new_text_gets_shorter(algorithm: str, tmp_path: Path) -> None:
    old = trained(algorithm)
    size = old.vocab_size
    new = old.extend(NEW[:80], vocab_size=size + 50)
    before, after = spec_of(old), spec_of(new)
    assert new.vocab_size == size + 50
    assert after["tokens"][:size] == before["tokens"]
    assert after["scores"][:size] == before["scores"]
    assert after["added"] == before["added"]
    tokens = [token for token in after["tokens"] if token]
    assert len(set(tokens)) == len(tokens)
    held_out = "".join(NEW[80:])
    assert len(new.encode(held_out)) < len(old.encode(held_out))
    text = "ñ語ñ" if algorithm == "unigram" else "n 語 n"
    assert new.decode(new.encode("ñ語ñ")) == text
    assert Tokenizer.load(new.save(tmp_path / "dir")).encode(held_out) == new.encode(held_out)
    name = "t.model" if algorithm == "unigram" else "vocab.txt"
    assert Tokenizer.load(new.save(tmp_path / name)).encode(held_out) == new.encode(held_out)


@pytest.mark.parametrize("algorithm", BOTH)
def test_an_old_text_without_new_tokens_keeps_its_ids(algorithm: str) -> None:
    old = trained(algorithm)
    new = old.extend(NEW, vocab_size=old.vocab_size + 60)
    kept = 0
    for word in LEXICON[:200]:
        ids = new.encode(word)
        if max(ids) < old.vocab_size:
            assert ids == old.encode(word)
            kept += 1
    assert kept > 20


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("algorithm", BOTH)
def test_parts_and_threads_change_no_byte(algorithm: str, num_threads: int, tmp_path: Path) -> None:
    old = trained(algorithm)
    size = old.vocab_size + 50
    whole = old.extend(NEW, vocab_size=size, num_threads=1).save(tmp_path / "a.json")
    parts = [
        counts_for(algorithm, num_threads=num_threads).count(part) for part in (NEW[::2], NEW[1::2])
    ]
    got = old.extend(parts[1].merge(parts[0]), vocab_size=size, num_threads=num_threads)
    assert got.save(tmp_path / "b.json").read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("algorithm", BOTH)
def test_no_new_token_spells_an_added_one(algorithm: str, tmp_path: Path) -> None:
    path = trained(algorithm).save(tmp_path / "t.json", "llmcore")
    data = json.loads(path.read_text())
    added = data["added_tokens"]
    far = {**added[0], "id": 999, "content": "qo", "special": False}
    path.write_text(json.dumps({**data, "added_tokens": [*added, far]}))
    old = Tokenizer.load(path)
    far_id = old.vocab_size - 1
    assert old.token_to_id("qo") == far_id
    new = old.extend(["qoz"] * 9 + ["qoy"], vocab_size=far_id + 20)
    assert new.vocab_size > far_id + 1 and new.token_to_id("qo") == far_id
    assert [new.id_to_token(i) for i in range(new.vocab_size)].count("qo") == 1
    if algorithm == "wordpiece":
        assert new.token_to_id("##oz") is not None  # q ##o, the best pair, is passed over


@pytest.mark.parametrize(
    ("algorithm", "options", "message"),
    [
        ("wordpiece", {"vocab_size": 10}, r"vocab_size must be above the present \d+, got 10"),
        ("unigram", {"vocab_size": 10}, r"vocab_size must be above the present \d+, got 10"),
        ("wordpiece", {"tie_break": "ids"}, "keywords must be of .* got 'tie_break'"),
        ("unigram", {"min_frequency": 2}, "keywords must be of .* got 'min_frequency'"),
        ("unigram", {"pattern": "gpt2"}, "must be split as the tokenizer does"),
    ],
)
def test_refusals_say_why(algorithm: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        trained(algorithm).extend(NEW, **({"vocab_size": 400} | options))


def test_scores_that_are_no_log_probabilities_are_refused(tmp_path: Path) -> None:
    path = trained("unigram").save(tmp_path / "t.json", "llmcore")
    data = json.loads(path.read_text())
    data["model"]["vocab"][-1][1] = -1e6
    path.write_text(json.dumps(data))
    with pytest.raises(ConfigError, match="scores of Unigram must be log-probabilities, .* token"):
        Tokenizer.load(path).extend(NEW, vocab_size=400)


def test_spaces_behind_words() -> None:
    old = trained("unigram", treat_whitespace_as_suffix=True)
    new = old.extend(NEW, vocab_size=old.vocab_size + 50)
    tokens = spec_of(new)["tokens"][old.vocab_size :]
    assert any(token[1:].endswith(SPACE_MARK) for token in tokens)
    assert not any(SPACE_MARK in token[:-1] for token in tokens)


@pytest.mark.parametrize(
    ("model", "only_characters"),
    [
        ("tokenizers.bert_base_cased.json", {"min_frequency": 1 << 60}),
        ("sentencepiece.botchan_unigram.model", {"max_sentencepiece_length": 1}),
        ("sentencepiece.nai-t5.model", {"max_sentencepiece_length": 1}),
    ],
)
def test_published_vocabularies_learn_japanese(
    fixtures_dir: Path, tmp_path: Path, model: str, only_characters: dict[str, int]
) -> None:
    lines = (fixtures_dir / "corpora" / "wagahaiwa_nekodearu.txt").read_text("utf-8").splitlines()
    english = (fixtures_dir / "corpora" / "botchan.txt").read_text("utf-8")
    cut = len(lines) * 4 // 5
    held_out = "\n".join(lines[cut:])
    old = Tokenizer.load(fixtures_dir / "tokenizers" / "models" / model)
    new = old.extend(lines[:cut], vocab_size=old.vocab_size + 6000)
    spelled = old.extend(lines[:cut], vocab_size=old.vocab_size + 6000, **only_characters)
    assert spec_of(new)["tokens"][: old.vocab_size] == spec_of(old)["tokens"]
    assert new.vocab_size == old.vocab_size + 6000 > spelled.vocab_size
    # A word that has no token is one unknown: compare with a vocabulary of the same characters.
    assert len(new.encode(held_out)) < 0.8 * len(spelled.encode(held_out))
    assert len(new.encode(english)) <= 1.001 * len(old.encode(english))
    again = Tokenizer.load(new.save(tmp_path / "new"))
    assert again.encode(held_out) == new.encode(held_out)
    if model.endswith(".model"):
        again = Tokenizer.load(new.save(tmp_path / "new.model"))
        assert again.encode(held_out) == new.encode(held_out)

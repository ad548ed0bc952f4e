"""BPE models on their own: what each option does, worked by hand; errors; dropout; linear work."""

import json
import random
from typing import Any

import pytest

from llmcore._bindings import BpeDoor, bytes_to_text
from llmcore.errors import ConfigError, DataError

N = 20_000


def build(
    tokens: str | list[str],
    merges: list[tuple[str, str]] = [],  # noqa: B006
    scores: list[float] = [],  # noqa: B006
    **options: Any,
) -> BpeDoor:
    names = tokens.split() if isinstance(tokens, str) else tokens
    ids = {name: i for i, name in enumerate(names)}
    pairs = [(ids[a], ids[b]) for a, b in merges]
    return BpeDoor.build([name.encode() for name in names], pairs, scores, options)


def ids(model: BpeDoor, text: str | bytes) -> list[int]:
    return model.encode(text)[0].tolist()


def ends(model: BpeDoor, text: str) -> list[int]:
    return model.encode(text, True)[1].tolist()


def test_ranks_and_merge_lists_differ() -> None:
    """By rank any two tokens that make "abc" merge; a list merges only the pairs it names."""
    tokens = [bytes([b]) for b in range(256)] + [b"bc", b"ab", b"abc"]
    by_rank = BpeDoor.build(tokens, [], [], {"by_rank": True})
    assert ids(by_rank, "xabc") == [120, 258]
    # "abc" is made of "ab" and "c" in the list, but "bc" comes first: "a" and "bc" then stay apart.
    pairs = [(98, 99), (97, 98), (257, 99)]
    texts = [bytes_to_text(t).encode() for t in tokens]
    listed = BpeDoor.build(texts, pairs, [], {"byte_chars": True})
    assert ids(listed, "xabc") == [120, 97, 256]


def test_a_token_that_no_merge_reaches() -> None:
    """It is itself where the whole piece is looked up, and its parts elsewhere."""
    tokens = [bytes_to_text(bytes([b])).encode() for b in range(256)] + [b"abc"]
    merging = BpeDoor.build(tokens, [], [], {"byte_chars": True})
    looking_up = BpeDoor.build(tokens, [], [], {"byte_chars": True, "ignore_merges": True})
    assert ids(merging, "abc") == [97, 98, 99]
    assert ids(looking_up, "abc") == [256]
    assert ids(looking_up, "abcd") == [97, 98, 99, 100]


def test_a_token_that_spells_no_bytes_is_never_found() -> None:
    tokens = [bytes_to_text(bytes([b])).encode() for b in range(256)] + ["日".encode()]
    model = BpeDoor.build(tokens, [], [], {"byte_chars": True, "ignore_merges": True})
    assert ids(model, "日") == list("日".encode())


def test_unknown_characters() -> None:
    assert ids(build("<unk> a b", unk_token="<unk>"), "azzb") == [1, 0, 0, 2]
    fusing = build("<unk> a b", unk_token="<unk>", fuse_unk=True)
    assert ids(fusing, "azéb") == [1, 0, 2]
    assert ends(fusing, "azéb") == [1, 4, 5]
    assert ids(build("a b"), "azb") == [0, 1]  # no unknown token: dropped
    falling_back = build("a <0xC3> <0xA9>", byte_fallback=True)
    assert ids(falling_back, "aé") == [0, 1, 2]
    assert ends(falling_back, "aé") == [1, 2, 3]


def test_prefix_and_suffix() -> None:
    model = build(
        "a ##b ##c</w> ##bc</w> abc</w>",
        [("##b", "##c</w>"), ("a", "##bc</w>")],
        continuing_subword_prefix="##",
        end_of_word_suffix="</w>",
    )
    assert ids(model, "abc") == [4]


def sentencepiece(pieces: list[tuple[str, float, int]]) -> BpeDoor:
    """Pieces as (text, score, kind)."""
    extra = json.dumps({"piece_kinds": [kind for _, _, kind in pieces]})
    return build([text for text, _, _ in pieces], scores=[s for _, s, _ in pieces], extra=extra)


def test_equal_scores_merge_from_the_left() -> None:
    model = sentencepiece(
        [("<unk>", 0, 2), ("a", -9, 1), ("b", -9, 1), ("ab", -1, 1), ("ba", -1, 1)]
    )
    assert ids(model, "aba") == [3, 1]
    assert ids(model, "bab") == [4, 2]


def test_a_character_without_a_piece_still_merges() -> None:
    model = sentencepiece([("<unk>", 0, 2), ("b", -9, 1), ("ab", -1, 1)])
    assert ids(model, "abab") == [2, 2]
    assert ids(model, "aab") == [0, 2]


def test_user_defined_and_unused_pieces() -> None:
    model = sentencepiece(
        [("<unk>", 0, 2), ("a", -9, 1), ("b", -9, 1), ("aa", -1, 4), ("ab", -1, 5)]
    )
    assert ids(model, "aaab") == [3, 1, 2]  # "aa" stands; "ab" merges and is taken apart again


def test_unknown_pieces_fuse_over_cached_units() -> None:
    model = sentencepiece([("<unk>", 0, 2), ("a", -1, 1)])
    for _ in range(2):  # filled, then read
        assert ids(model, "aéΩzaé") == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokens": "a a"}, "must have one id, got two"),
        ({"tokens": "a b", "merges": [("a", "b")]}, 'must make a token of model.vocab, got "ab"'),
        ({"tokens": "a", "dropout": 1.5}, "model.dropout must be in"),
        ({"tokens": "a b", "scores": [0.0]}, "every piece must have a score"),
        ({"tokens": "a", "scores": [0.0]}, "must hold the unknown piece"),
        ({"tokens": "a", "scores": [0.0], "byte_fallback": True}, "256 byte pieces"),
    ],
)
def test_bad_models_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        build(**options)


def test_ids_of_merges_are_checked() -> None:
    with pytest.raises(DataError, match="must name tokens of model.vocab, got id 7"):
        BpeDoor.build([b"a", b"b"], [(0, 7)], [], {})


def byte_model(size: int = 400, seed: int = 0) -> BpeDoor:
    """Random ranks over a few letters."""
    rng = random.Random(seed)
    more: dict[bytes, None] = {}
    while len(more) < size:
        more["".join(rng.choices("abcd", k=rng.randint(2, 7))).encode()] = None
    return BpeDoor.build([bytes([b]) for b in range(256)] + list(more), [], [], {"by_rank": True})


def test_dropout_is_seeded_and_spells_the_text() -> None:
    model = byte_model()
    text = "abcdabcaabbccdd" * 4
    first = model.sample(text, 0.3, 7)
    assert first[0].tolist() == model.sample(text, 0.3, 7)[0].tolist()
    assert len({tuple(model.sample(text, 0.3, seed)[0].tolist()) for seed in range(20)}) > 1
    assert first[1].tolist()[-1] == len(text)
    assert model.sample(text, 0.0, 7)[0].tolist() == ids(model, text)
    assert model.sample(text, 1.0, 7)[0].tolist() == list(text.encode())
    with pytest.raises(ConfigError, match=r"dropout must be in \[0, 1\], got 2"):
        model.sample(text, 2.0, 0)


def random_text(n: int) -> str:
    return "".join(random.Random(1).choices("abcd", k=n))


@pytest.mark.parametrize("text", ["a", "ab", "abcd", "random"])
def test_work_is_linear(text: str) -> None:
    """Long pieces are merged in short windows, whatever the ranks."""
    model = byte_model()
    long = random_text(2 * N) if text == "random" else text * (2 * N // len(text))
    once, twice = model.count_steps(long[:N]), model.count_steps(long)
    assert once >= N / 2
    assert twice <= 2.2 * once
    assert once <= 60 * N


@pytest.mark.parametrize("seed", range(20))
def test_windows_do_not_show(seed: int) -> None:
    """A long piece is its tokens, and those of any part that ends where tokens end."""
    model = byte_model(200, seed)
    text = random_text(3000)
    whole = ids(model, text)
    spans = ends(model, text)
    middle = spans[len(spans) // 2]
    assert sum(len(p) for p in (text[:middle], text[middle:])) == len(text)
    head = ids(model, text[:middle])
    assert head == whole[: len(head)]


def test_a_sentence_of_one_word_is_linear() -> None:
    pieces = [("<unk>", 0.0, 2)] + [(c, -9.0, 1) for c in "abcd"]
    pieces += [("ab", -1.0, 1), ("cd", -1.0, 1), ("abcd", -2.0, 1), ("aa", -3.0, 1)]
    model = sentencepiece(pieces)
    once, twice = (model.count_steps("abcdaab" * (n // 7)) for n in (N, 2 * N))
    assert once > 0
    assert twice <= 2.4 * once

"""Counting: any components, any number of threads, in parts, and as a file."""

import hashlib
import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcore import _bindings
from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers import Tokenizer, WordCounts
from llmcore.tokenizers.components import SENTENCEPIECE_NORMALIZER, SENTENCEPIECE_SPLIT

LONG = "a word of more than fifteen bytes: Donaudampfschifffahrt, 日本語日本語日本語"
TEXTS = ["the cat sat on the mat; the dog isn't.\n\n  x = 1", LONG, "naïve \x85\u3000 é", "", "  "]
COMPONENTS = [
    {},
    {"pattern": "llama3"},
    {"pattern": "o200k_base"},
    {"pattern": r"\w+|\W"},
    {"normalizer": "NFKC", "pre_tokenizer": "BertPreTokenizer"},
    {"normalizer": "Lowercase", "pattern": "gpt2"},
    {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}},
    {"pre_tokenizer": '{"type": "Split", "pattern": {"String": "a"}, "behavior": "Removed"}'},
]


def pieces_of(texts: list[str], counts: WordCounts) -> Counter[bytes]:
    """By the components' own doors, one text at a time."""
    normalizer = _bindings.Normalizer.from_json(counts.native.normalizer)
    splitter = _bindings.PreTokenizer.from_json(counts.native.pre_tokenizer)
    found: Counter[bytes] = Counter()
    for text in texts:
        normalized = normalizer.apply(text)[0]
        rewritten, bounds, _ = splitter.split(normalized)
        flat = bounds.tolist()
        found.update(rewritten[a:b] for a, b in zip(flat[::2], flat[1::2], strict=True))
    return found


@pytest.mark.parametrize("components", COMPONENTS, ids=str)
@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_counts_are_those_of_the_components(components: dict, num_threads: int) -> None:
    counts = WordCounts(num_threads=num_threads, **components).count(TEXTS * 7)
    assert counts.items() == pieces_of(TEXTS * 7, counts)
    assert len(counts) == len(counts.items())


@given(texts=st.lists(st.binary(max_size=60), min_size=1, max_size=5))
@settings(max_examples=200, deadline=None)
def test_the_pieces_of_bytes_are_the_bytes(texts: list[bytes]) -> None:
    if not any(texts):
        return
    items = WordCounts(num_threads=2).count(texts).items()
    assert sum(len(piece) * n for piece, n in items.items()) == sum(map(len, texts))


@pytest.mark.parametrize("components", COMPONENTS, ids=str)
def test_files_of_counts_do_not_depend_on_threads(components: dict, tmp_path: Path) -> None:
    rng = random.Random(5)
    texts = ["".join(rng.choices("ab 日é\n.1", k=rng.randrange(40))) for _ in range(3000)]
    digests = set()
    for num_threads in (1, 2, 3):
        path = tmp_path / "counts"
        WordCounts(num_threads=num_threads, **components).count(texts).save(path)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_large_text_file_is_cut_where_no_piece_is(tmp_path: Path) -> None:
    # Nothing but runs of line ends and of spaces, which must not be cut.
    text = "".join(f"def f{i}():\n\n\n    return {i}   \n" for i in range(60_000))
    path = tmp_path / "a.py"
    path.write_text(text)
    assert WordCounts(num_threads=2).count(path).items() == WordCounts().count([text]).items()


def shards(texts: list[str], num: int, **components: Any) -> list[WordCounts]:
    return [WordCounts(**components).count(texts[i::num]) for i in range(num)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byte_level": False, "pre_tokenizer": "WhitespaceSplit"},
        {"byte_level": False, "pre_tokenizer": "BertPreTokenizer", "normalizer": "NFKC"},
    ],
    ids=str,
)
def test_parts_train_the_same_tokenizer(options: dict, tmp_path: Path) -> None:
    rng = random.Random(3)
    words = ["".join(rng.choices("abcdeé日本", k=rng.randint(1, 9))) for _ in range(800)]
    texts = [" ".join(rng.choices(words, k=30)) for _ in range(300)]
    components = dict(options)
    whole = Tokenizer.train(texts, vocab_size=500, num_threads=1, **options)
    total = WordCounts(**components)
    for i, part in enumerate(shards(texts, 3, **components)):
        total.merge(WordCounts.load(part.save(tmp_path / f"{i}.counts"), num_threads=2))
    byte_level = options.get("byte_level", True)
    merged = Tokenizer.train(total, vocab_size=500, byte_level=byte_level)
    files = [t.save(tmp_path / name, "tokenizer.json") for t, name in ((whole, "a"), (merged, "b"))]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert len(total) > 0  # counts of the caller's are not used up


def test_saving_and_loading_keeps_all(tmp_path: Path) -> None:
    counts = WordCounts(pattern="llama3", normalizer="NFC").count([*TEXTS, LONG * 2000])
    path = counts.save(tmp_path / "new" / "counts")
    again = WordCounts.load(path)
    assert again.items() == counts.items()
    assert again.save(tmp_path / "again").read_bytes() == path.read_bytes()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["counts"]


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    data = WordCounts().count(["ab cd"]).save(tmp_path / "counts").read_bytes()
    path = tmp_path / "damaged"
    for i in range(len(data)):
        for changed in (data[:i], data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :]):
            path.write_bytes(changed)
            with pytest.raises(DataError, match="must be a file of word counts, got"):
                WordCounts.load(path)


def sealed(words: bytes, number: int, head: bytes = b"LLMCWC01") -> bytes:
    """A file with these words whose checksum fits."""
    body = head + number.to_bytes(8, "little") + 2 * ((4).to_bytes(8, "little") + b"null") + words
    return body + hashlib.sha256(body).hexdigest().encode()


@pytest.mark.parametrize(
    ("words", "number", "message"),
    [
        (b"\x01a\x02\x01b\x01", 2, None),
        (b"\x01a\x02", 2**63, "too few bytes"),
        (b"\x01a\x02\x01a\x02", 2, "words out of order"),
        (b"\x01b\x02\x01a\x02", 2, "words out of order"),
        (b"\x00\x02", 1, "an empty word"),
        (b"\x01a\x00", 1, "an empty word"),
        (b"\x01a\x02x", 1, "bytes behind the last word"),
        (b"\xff\xff\xff\xff\x7fa", 1, "too few bytes"),
        (b"\x01a" + b"\xff" * 9 + b"\x7f", 1, "a number beyond"),
    ],
)
def test_hostile_files_with_a_checksum_that_fits(
    words: bytes, number: int, message: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "counts"
    path.write_bytes(sealed(words, number))
    if message is None:
        assert WordCounts.load(path).items() == {b"a": 2, b"b": 1}
        return
    with pytest.raises(DataError, match=message):
        WordCounts.load(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be readable, got No such file"):
        WordCounts.load(tmp_path / "missing")


def test_parts_that_were_split_otherwise() -> None:
    with pytest.raises(ConfigError, match="merge: pre_tokenizer must be"):
        WordCounts().merge(WordCounts(pattern="llama3"))
    with pytest.raises(ConfigError, match="merge: normalizer must be"):
        WordCounts().merge(WordCounts(normalizer="NFC"))
    counts = WordCounts()
    with pytest.raises(ConfigError, match="others, got the same"):
        counts.merge(counts)


def test_sums_beyond_64_bits_are_refused() -> None:
    one, other = WordCounts(), WordCounts()
    one.native.add(b"ab", 2**62)
    other.native.add(b"ab", 2**62)
    with pytest.raises(DataError, match="must be below 2\\^63"):
        one.merge(other)
    one.native.add(b"cd", 2**62)
    with pytest.raises(DataError, match="fewer than 2\\^63 symbols"):
        Tokenizer.train(one, vocab_size=300)


@pytest.mark.parametrize("num_threads", [0, -1, 5000])
def test_a_number_of_threads_that_cannot_be(num_threads: int) -> None:
    with pytest.raises(ConfigError, match="num_threads must be"):
        WordCounts(num_threads=num_threads)


def test_unknown_components_are_named() -> None:
    with pytest.raises(DataError, match="normalizer"):
        WordCounts(normalizer="Surprise")


def test_other_threads_run_while_counting() -> None:
    ticks: list[int] = []
    done = threading.Event()
    text = "some words to count " * 400_000

    def tick() -> None:
        while not done.is_set():
            ticks.append(1)
            done.wait(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    WordCounts(num_threads=1).count([text] * 4)
    done.set()
    thread.join()
    assert len(ticks) > 3


def test_counts_for_bytes_train_no_characters() -> None:
    counts = WordCounts(pre_tokenizer="Whitespace").count(TEXTS)
    with pytest.raises(ConfigError, match="counts must have been made with byte_level=False"):
        Tokenizer.train(counts, vocab_size=300, byte_level=False)
    with pytest.raises(ConfigError, match="pre_tokenizer of the counts must be"):
        Tokenizer.train(counts, vocab_size=300, pattern="llama3")


@given(texts=st.lists(st.text("▁ab é", max_size=30), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_words_of_sentencepiece_are_cut_as_its_split_says(texts: list[str]) -> None:
    counts = WordCounts.of_components("null", SENTENCEPIECE_SPLIT, 2)
    if any(texts):
        assert counts.count(texts).items() == pieces_of(texts, counts)
    again = WordCounts.of_components(SENTENCEPIECE_NORMALIZER, SENTENCEPIECE_SPLIT, 1)
    if any(texts):
        assert again.count(texts).items() == pieces_of(texts, again)


def test_components_are_compared_as_json_not_as_text() -> None:
    one = WordCounts.of_components('{"type":"NFC"}', "null").count(["ab"])
    two = WordCounts.of_components('{ "type": "NFC" }', "null").count(["ab"])
    assert one.merge(two).items() == {b"ab": 2}

"""Training: a case worked by hand, limits, determinism, progress, interruption."""

import os
import random
import signal
import threading
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcore._bindings import WordCounter, bytes_to_text
from llmcore._bindings import train_bpe as train_native
from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers import Tokenizer
from llmcore.tokenizers.word_counts import default_num_threads

TEXT = "the cat sat on the mat; the dog's bowl isn't here.\n\n    x = 12 + y  # naïve 日本語\n"


def plain_merges(words: dict[bytes, int], num_merges: int) -> list[tuple[bytes, bytes]]:
    """BPE by its definition: recount every pair before every merge."""
    alphabet = sorted(range(256), key=lambda b: (not (33 <= b <= 126 or b > 160 and b != 173), b))
    ids = {bytes([b]): i for i, b in enumerate(alphabet)}
    split = {word: [bytes([b]) for b in word] for word in words}
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < num_merges:
        counts: Counter[tuple[bytes, bytes]] = Counter()
        for word, count in words.items():
            for pair in zip(split[word], split[word][1:], strict=False):
                counts[pair] += count
        if not counts:
            break
        best = max(counts, key=lambda p: (counts[p], -ids[p[0]], -ids[p[1]]))
        merges.append(best)
        ids.setdefault(best[0] + best[1], len(ids))
        for symbols in split.values():
            i = 0
            while i + 1 < len(symbols):
                if (symbols[i], symbols[i + 1]) == best:
                    symbols[i : i + 2] = [best[0] + best[1]]
                i += 1
    return merges


def train_bpe(source: Any, **options: Any) -> list[str]:
    """The merges, "left right" as files spell them."""
    spec = Tokenizer.train(source, **options).spec.to_dict()
    return [f"{spec['tokens'][left]} {spec['tokens'][right]}" for left, right in spec["merges"]]


def as_text(merges: list[tuple[bytes, bytes]]) -> list[str]:
    return [f"{bytes_to_text(a)} {bytes_to_text(b)}" for a, b in merges]


@given(words=st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_merges_follow_the_definition(words: list[str]) -> None:
    counts = Counter(w.encode() for w in words)
    want = as_text(plain_merges(dict(counts), 12))
    got = train_bpe(words, vocab_size=256 + len(want), num_threads=1)
    # A text reached by two merges takes one id for both, so ours may go on beyond the limit.
    assert got[: len(want)] == want


def test_equal_counts_take_the_smaller_ids() -> None:
    merges = train_bpe(["zy", "ab", "cd"], vocab_size=258)
    assert merges == ["a b", "c d"]


def test_counts_beyond_32_bits_do_not_wrap() -> None:
    counter = WordCounter(1)
    counter.add(b"ab", 2**33)
    counter.add(b"cd", 2**31 + 5)
    counter.add(b"ef", 7)
    spec = train_native(counter, {"vocab_size": 259}, None).to_dict()
    joined = [spec["tokens"][a] + spec["tokens"][b] for a, b in spec["merges"]]
    assert joined == ["ab", "cd", "ef"]


@pytest.mark.parametrize("num_threads", [2, 3, 8])
def test_threads_do_not_change_the_result(num_threads: int) -> None:
    source = [TEXT * 2000, *(f"{TEXT} item {i}" for i in range(500))]
    alone = train_bpe(source, vocab_size=500, num_threads=1)
    assert train_bpe(iter(source), vocab_size=500, num_threads=num_threads) == alone


def test_splitting_a_large_text_among_threads_keeps_its_words() -> None:
    # No white space but U+0085 and U+3000 at which the text must not be cut in two.
    text = "日本\u3000語\u0085x  " * 40_000
    assert train_bpe([text], vocab_size=300, num_threads=2) == train_bpe(
        [text], vocab_size=300, num_threads=1
    )


def test_items_are_not_joined() -> None:
    assert train_bpe(["ab", "ab", "ba"], vocab_size=300) == ["a b", "b a"]


def test_min_frequency_stops_early() -> None:
    assert train_bpe(["ab ab cd"], vocab_size=300, min_frequency=2) == ["a b"]


@pytest.mark.parametrize("vocab_size", [0, 255, 257])
def test_too_small_a_vocabulary(vocab_size: int) -> None:
    with pytest.raises(ConfigError, match=r"vocab_size must be at least 258 .* got"):
        train_bpe([TEXT], vocab_size=vocab_size, special_tokens=["<a>", "<b>"])


@pytest.mark.parametrize("specials", [["<a>", "<a>"], [""]])
def test_bad_special_tokens(specials: list[str]) -> None:
    with pytest.raises(ConfigError, match="special_tokens must be distinct"):
        train_bpe([TEXT], vocab_size=300, special_tokens=specials)


def test_negative_min_frequency() -> None:
    with pytest.raises(ConfigError, match="min_frequency"):
        train_bpe([TEXT], vocab_size=300, min_frequency=-1)


@pytest.mark.parametrize("source", [[], [""], iter(["", ""])])
def test_no_text(source: list[str]) -> None:
    with pytest.raises(DataError, match="source must hold text"):
        train_bpe(source, vocab_size=300)


def test_one_text_is_not_a_source() -> None:
    with pytest.raises(DataError, match="wrap it in a list"):
        train_bpe("abc", vocab_size=300)


def test_items_must_be_text() -> None:
    with pytest.raises(DataError, match="must yield str, bytes or Path, got int"):
        train_bpe(iter(["a", 3]), vocab_size=300)


def test_lone_surrogate_in_the_source() -> None:
    with pytest.raises(DataError, match="lone surrogate"):
        train_bpe(["a\udc80"], vocab_size=300)


def test_progress_reports_reading_then_the_whole_vocabulary() -> None:
    calls: list[tuple[str, int, int]] = []
    train_bpe([TEXT], vocab_size=270, progress=lambda *call: calls.append(call))
    assert calls[0] == ("count", len(TEXT), 0)
    assert calls[-1] == ("merge", 270, 270)


def slow_source() -> list[str]:
    """Distinct long words: seconds of merging."""
    rng = random.Random(0)
    return ["".join(rng.choices("abcdefghijklmnop", k=40_000)) for _ in range(60)]


def test_progress_during_merging_may_stop_it() -> None:
    sizes: list[int] = []

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "merge":
            sizes.append(done)
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        train_bpe(slow_source(), vocab_size=200_000, progress=stop)
    assert 256 <= sizes[0] < 200_000


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX signals")
def test_interrupt_ends_training_soon() -> None:
    source = slow_source()
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        while time.monotonic() - started < 60:
            train_bpe(source, vocab_size=500_000)
    timer.join()


def test_default_number_of_threads() -> None:
    assert 1 <= default_num_threads() <= (os.cpu_count() or 1)

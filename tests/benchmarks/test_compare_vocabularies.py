"""The comparison of vocabularies: exact counts, a row per vocabulary, a plot."""

from pathlib import Path

import pytest

from benchmarks.tokenizers import compare_vocabularies as compare
from llmcore.tokenizers import Tokenizer

TEXTS = [f"def function_{i}(x): return x + {i}\n" for i in range(60)]


def test_tokens_per_byte_are_the_librarys(tokenizer_dir: Path) -> None:
    tokenizer = Tokenizer.load(tokenizer_dir)
    row = compare.measure(tokenizer, TEXTS, 1)
    assert row["tokens"] == sum(len(tokenizer.encode(text)) for text in TEXTS)
    assert row["tokens_per_byte"] == row["tokens"] / sum(len(t.encode()) for t in TEXTS)


def test_a_vocabulary_stops_growing_with_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "ALGORITHMS", ("bpe",))
    corpus = compare.Corpus("toy", TEXTS[10:], TEXTS[:10])
    rows = list(compare.trained_rows(corpus, [100, 300, 4096, 8192], 1))
    assert [row["ids"] for row in rows][0] == 300 and len(rows) == 2
    assert rows[1]["ids"] < 4096 and rows[1]["tokens"] <= rows[0]["tokens"]


def test_the_plot_shows_every_corpus(tmp_path: Path) -> None:
    rows = [
        {"corpus": name, "vocabulary": who, "ids": 512, "bytes": 9, "tokens": 3}
        | {"tokens_per_byte": 0.3, "mb_per_s": 50.0}
        for name in ("a", "b")
        for who in ("bpe", "GPT-2")
    ]
    figure = compare.draw(rows)
    assert len(figure.axes) == 4
    figure.savefig(tmp_path / "plot.svg")
    assert "GPT-2" in (tmp_path / "plot.svg").read_text() or (tmp_path / "plot.svg").stat().st_size


def test_held_out_texts_are_not_trained_on() -> None:
    first = next(compare.corpora(quick=True))
    assert len(first.unseen) == 20 and len(first.seen) == 80
    assert not set(first.seen) & set(first.unseen)

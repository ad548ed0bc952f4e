"""The comparison of vocabularies: exact counts, a row per vocabulary, a plot."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.tokenizers import compare_vocabularies as compare
from llmcore.tokenizers import Tokenizer

TEXTS = [f"def function_{i}(x): return x + {i}\n" for i in range(60)]


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    monkeypatch.setattr(compare, "ALGORITHMS", ("bpe",))
    monkeypatch.setattr(compare, "PUBLISHED", {})
    return compare.measure(compare.Corpus("toy", TEXTS[10:], TEXTS[:10]), [100, 300, 4096, 8192], 1)


def test_tokens_per_byte_are_the_librarys(rows: list[dict[str, Any]]) -> None:
    tokenizer = Tokenizer.train(TEXTS[10:], vocab_size=300)
    assert rows[0]["tokens"] == sum(len(tokenizer.encode(text)) for text in TEXTS[:10])
    num_bytes = sum(len(text.encode()) for text in TEXTS[:10])
    assert rows[0]["tokens_per_byte"] == rows[0]["tokens"] / num_bytes
    assert rows[0]["mb_per_s"] > 0


def test_a_vocabulary_stops_growing_with_the_text(rows: list[dict[str, Any]]) -> None:
    """Too small a size is left out, too large a one ends the line."""
    assert rows[0]["ids"] == 300 and len(rows) == 2
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

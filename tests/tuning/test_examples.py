"""Chats of a file as examples: every drop is counted and said in one line."""

from pathlib import Path

import pytest

from llmcore.errors import DataError
from llmcore.tuning import load_examples
from tests.support.tiny_chat import tiny_tokenizer, write_sums


def test_all_chats_that_fit_are_kept_silently(tmp_path: Path) -> None:
    said: list[str] = []
    path = write_sums(tmp_path / "sft.jsonl", 6)
    examples, counts = load_examples(path, tiny_tokenizer(), seq_len=256, warn=said.append)
    assert (len(examples), counts.kept, said) == (6, 6, [])


@pytest.mark.parametrize(
    ("overlong", "kept", "what"), [("drop", 3, "dropped"), ("truncate", 6, "truncated")]
)
def test_overlong_chats_are_counted_and_said(
    tmp_path: Path, overlong: str, kept: int, what: str
) -> None:
    # Chats of two questions are longer than 25 tokens; their first answer lies before.
    said: list[str] = []
    path = write_sums(tmp_path / "sft.jsonl", 6)
    examples, counts = load_examples(
        path, tiny_tokenizer(), seq_len=25, overlong=overlong, warn=said.append
    )
    assert (len(examples), counts.overlong) == (kept, 3)
    assert said == [f"{path}: 3 of 6 chats exceed seq_len 25: {what}"]


def test_chats_cut_before_their_answer_are_dropped_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    path = write_sums(tmp_path / "sft.jsonl", 2)
    path.write_text(
        path.read_text()
        + '{"messages": [{"role": "user", "content": "'
        + "x" * 300
        + '"}, {"role": "assistant", "content": "y"}]}\n'
    )
    _, counts = load_examples(
        path, tiny_tokenizer(), seq_len=64, overlong="truncate", warn=said.append
    )
    assert counts.untrained == 1
    assert said[-1] == f"{path}: 1 of 3 chats have no token to train on: dropped"


def test_nothing_left_names_the_file(tmp_path: Path) -> None:
    path = write_sums(tmp_path / "sft.jsonl", 2)
    with pytest.raises(DataError, match=r"sft.jsonl: examples: at least one must have"):
        load_examples(path, tiny_tokenizer(), seq_len=3)

"""Preference pairs as examples: loss on the answers only, nothing truncated."""

from pathlib import Path

import pytest

from llmcore.alignment import encode_pair, load_pairs
from llmcore.errors import DataError
from llmcore.shapes import IGNORE_INDEX
from llmcore.tokenizers import Tokenizer
from tests.support.tiny_chat import preferences, tiny_tokenizer, write_pairs


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tiny_tokenizer()


def _trained(tokenizer: Tokenizer, labels: list[int]) -> str:
    return tokenizer.decode([label for label in labels if label != IGNORE_INDEX])


def test_only_the_last_answer_carries_loss(tokenizer: Tokenizer) -> None:
    # The prompt of pair 1 holds an earlier assistant turn, which is not part of the preference.
    pair = encode_pair(tokenizer, preferences(2)[1])
    assert _trained(tokenizer, pair.chosen.labels) == "2.<|im_end|>"
    assert _trained(tokenizer, pair.rejected.labels) == "No idea 1<|im_end|>"


def test_both_answers_follow_the_same_prompt(tokenizer: Tokenizer) -> None:
    pair = encode_pair(tokenizer, preferences(2)[1])
    start = next(t for t, label in enumerate(pair.chosen.labels) if label != IGNORE_INDEX)
    prompt = pair.chosen.input_ids[: start + 1]
    assert pair.rejected.input_ids[: start + 1] == prompt
    assert pair.rejected.labels[start] != IGNORE_INDEX
    assert tokenizer.decode(prompt).endswith("<|im_start|>assistant\n")


def test_pairs_that_do_not_fit_are_dropped_and_said(tmp_path: Path, tokenizer: Tokenizer) -> None:
    path = write_pairs(tmp_path / "dpo.jsonl", 6)
    said: list[str] = []
    assert len(load_pairs(path, tokenizer, seq_len=256, warn=said.append)) == 6
    assert said == []
    lengths = [
        max(len(p.chosen.input_ids), len(p.rejected.input_ids))
        for p in load_pairs(path, tokenizer, seq_len=256)
    ]
    short = sorted(lengths)[2]
    assert len(load_pairs(path, tokenizer, seq_len=short, warn=said.append)) == 3
    assert said == [f"{path}: 3 of 6 pairs exceed seq_len {short}: dropped"]


def test_nothing_left_names_the_file(tmp_path: Path, tokenizer: Tokenizer) -> None:
    path = write_pairs(tmp_path / "dpo.jsonl", 2)
    with pytest.raises(DataError, match=r"dpo.jsonl: at least one pair must fit into seq_len 4"):
        load_pairs(path, tokenizer, seq_len=4)

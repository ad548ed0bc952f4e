"""Extended vocabularies, saved, in `tokenizers` and `sentencepiece`: the same ids there."""

from pathlib import Path

import pytest
import tokenizers as hf

from llmcore.tokenizers import Tokenizer

spm = pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def lines(fixtures_dir: Path) -> list[str]:
    corpora = fixtures_dir / "corpora"
    japanese = (corpora / "wagahaiwa_nekodearu.txt").read_text("utf-8").splitlines()
    english = (corpora / "botchan.txt").read_text("utf-8").splitlines()
    return [line for line in japanese[:1500] + english[:1500] if line]


def extended(fixtures_dir: Path, model: str, lines: list[str]) -> Tokenizer:
    old = Tokenizer.load(fixtures_dir / "tokenizers" / "models" / model)
    new = old.extend(lines[:1000], vocab_size=old.vocab_size + 3000)
    assert new.vocab_size == old.vocab_size + 3000
    return new


def test_wordpiece(fixtures_dir: Path, tmp_path: Path, lines: list[str]) -> None:
    ours = extended(fixtures_dir, "tokenizers.bert_base_cased.json", lines)
    theirs = hf.Tokenizer.from_file(str(ours.save(tmp_path / "t.json", "tokenizer.json")))
    assert theirs.get_vocab_size() == ours.vocab_size
    for line in lines:
        assert theirs.encode(line, add_special_tokens=False).ids == ours.encode(line)


@pytest.mark.parametrize(
    "model", ["sentencepiece.botchan_unigram.model", "sentencepiece.nai-t5.model"]
)
def test_unigram(fixtures_dir: Path, tmp_path: Path, lines: list[str], model: str) -> None:
    ours = extended(fixtures_dir, model, lines)
    path = ours.save(tmp_path / "t.model", "sentencepiece")
    theirs = spm.SentencePieceProcessor(model_file=str(path))
    assert theirs.vocab_size() == ours.vocab_size
    for line in lines:
        assert theirs.encode(line) == ours.encode(line)
    new = [ours.id_to_token(i) for i in range(ours.vocab_size - 3000, ours.vocab_size)]
    assert [theirs.piece_to_id(piece) for piece in new] == list(
        range(ours.vocab_size - 3000, ours.vocab_size)
    )

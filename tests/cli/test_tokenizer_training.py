"""`llmcore tokenizer train` and `extend`: what reaches the library, and what it leaves behind."""

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from llmcore.cli import progress, tokenizer_training
from llmcore.cli.app import run
from llmcore.cli.progress import WorkProgress
from llmcore.tokenizers import Tokenizer
from tests.support.command import assert_one_line_error, call_llmcore


def test_train_writes_a_tokenizer_with_the_chat_tokens_first(text_file, tmp_path, capsys):
    out = tmp_path / "tok"
    assert (
        run(["tokenizer", "train", str(text_file), "--vocab-size", "300", "--out", str(out)]) == 0
    )
    assert "300 ids" in capsys.readouterr().out
    trained = Tokenizer.load(out)
    assert trained.vocab_size == 300
    assert trained.special_tokens == {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2}


def test_sources_of_every_kind_give_the_same_vocabulary(text_file, tmp_path):
    text = text_file.read_text()
    parts = [text[i : i + 4000] for i in range(0, len(text), 4000)]
    jsonl, parquet = tmp_path / "t.jsonl", tmp_path / "t.parquet"
    jsonl.write_text("".join(json.dumps({"text": part}) + "\n" for part in parts))
    pyarrow.parquet.write_table(pyarrow.table({"text": parts}), parquet)
    vocabularies = []
    for source in (jsonl, parquet):
        out = tmp_path / f"{source.suffix}.json"
        words = ["--vocab-size", "400", "--num-threads", "2", "--min-frequency", "2", "--quiet"]
        done = call_llmcore("tokenizer", "train", source, *words, "--out", out)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        vocabularies.append(out.read_bytes())
    assert vocabularies[0] == vocabularies[1]


def test_only_what_the_command_line_has_is_passed(text_file, tmp_path, monkeypatch, tokenizer_dir):
    seen: dict[str, Any] = {}

    def train(source: Any, **given: Any) -> Tokenizer:
        seen.update(given, text="".join(source))
        seen.pop("progress")("merge", 1, 2)
        return Tokenizer.load(tokenizer_dir)

    monkeypatch.setattr(Tokenizer, "train", train)
    words = ["tokenizer", "train", text_file, "--out", tmp_path / "out"]
    assert call_llmcore(*words).returncode == 0
    assert seen.pop("text") == text_file.read_text()
    chat = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    assert seen == {"algorithm": "bpe", "vocab_size": 4096, "special_tokens": chat}
    seen.clear()
    assert call_llmcore(*words, "--algorithm", "wordpiece").returncode == 0
    seen.pop("text")
    assert seen == {"algorithm": "wordpiece", "vocab_size": 4096}
    words += ["--algorithm", "unigram", "--pattern", r"\w+", "--no-byte-level"]
    words += ["--special-token", "<a>", "--special-token", "<b>", "--min-frequency", "3"]
    words += ["--set", "tie_break=bytes", "--set", "fuse_unk=true", "--set", "coverage=0.5"]
    seen.clear()
    assert call_llmcore(*words, "--num-threads", "2").returncode == 0
    seen.pop("text")
    assert seen == {
        "algorithm": "unigram",
        "vocab_size": 4096,
        "special_tokens": ("<a>", "<b>"),
        "pattern": r"\w+",
        "byte_level": False,
        "tie_break": "bytes",
        "fuse_unk": True,
        "coverage": 0.5,
        "min_frequency": 3,
        "num_threads": 2,
    }


def test_extend_goes_on_from_a_tokenizer(text_file, tmp_path, monkeypatch, tokenizer_dir):
    seen: dict[str, Any] = {}

    def extend(self: Tokenizer, source: Any, **given: Any) -> Tokenizer:
        seen.update(given, text="".join(source))
        return self

    monkeypatch.setattr(Tokenizer, "extend", extend, raising=False)
    out = tmp_path / "more.json"
    words = ["tokenizer", "extend", tokenizer_dir, text_file, "--vocab-size", "500", "--out", out]
    done = call_llmcore(*words)
    assert done.stdout == f"320 ids in {out}, 0 of them new\n"
    seen.pop("progress")("merge", 1, 2)
    assert seen == {"vocab_size": 500, "text": text_file.read_text()}
    assert Tokenizer.load(out).vocab_size == 320


@pytest.mark.parametrize(
    ("algorithm", "settings"),
    [
        ("wordpiece", ["--min-frequency", "2", "--set", "score=likelihood"]),
        ("unigram", ["--set", "character_coverage=0.99", "--set", "num_sub_iterations=1"]),
    ],
)
def test_extend_of_every_algorithm(algorithm, settings, text_file, tmp_path):
    text = text_file.read_text()
    old = Tokenizer.train([text[:1500]], vocab_size=70, algorithm=algorithm)
    old.save(tmp_path / "old.json", "llmcore")
    out = tmp_path / "new.json"
    words = [tmp_path / "old.json", text_file, "--vocab-size", "100", *settings, "--out", out]
    done = call_llmcore("tokenizer", "extend", *words)
    assert done.stdout == f"100 ids in {out}, 30 of them new\n"
    new = Tokenizer.load(out)
    assert [new.id_to_token(i) for i in range(70)] == [old.id_to_token(i) for i in range(70)]
    assert len(new.encode(text)) < len(old.encode(text))


@pytest.mark.parametrize(
    ("words", "needle"),
    [
        (["train", "TEXT", "--out", "OUT", "--algorithm", "wordlevel"], "wordlevel"),
        (["train", "TEXT", "--out", "OUT", "--num-threads", "0"], "num-threads"),
        (["train", "TEXT", "--out", "OUT", "--min-frequency", "-1"], "min-frequency"),
        (["train", "TEXT", "--out", "OUT", "--set", "byte_fallback"], "KEY=VALUE"),
        (["train", "TEXT", "--out", "OUT", "--set", "=1"], "KEY=VALUE"),
        (["train", "TEXT", "--out", "OUT", "--set", "source=x"], "algorithm's options"),
        (["train", "TEXT"], "--out"),
        (["train", "--out", "OUT"], "INPUT"),
        (["train", "TEXT", "nope.txt", "--out", "OUT"], "nope.txt"),
        (["extend", "nope", "TEXT", "--vocab-size", "9", "--out", "OUT"], "nope"),
        (["extend", "TEXT", "TEXT", "--out", "OUT"], "--vocab-size"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(words, needle, text_file, tmp_path):
    out = tmp_path / "out"
    names = {"TEXT": text_file, "OUT": out}
    done = call_llmcore("tokenizer", *(names.get(word, word) for word in words))
    assert_one_line_error(done, needle)
    assert not out.exists()


def test_ctrl_c_is_one_line_and_leaves_nothing(text_file, tmp_path, monkeypatch):
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(WorkProgress, "update", stop)
    out = tmp_path / "out"
    done = call_llmcore("tokenizer", "train", text_file, "--out", out)
    assert (done.returncode, done.stderr) == (130, "llmcore: interrupted\n")
    assert not out.exists()


def test_reading_is_measured_against_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.txt").write_text("x" * 1000)
    (tmp_path / "b.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    table = pyarrow.table({"text": ["y" * 500] * 4})
    pyarrow.parquet.write_table(table, tmp_path / "c.parquet")
    (tmp_path / "odd#1").write_text("z" * 10)
    calls: list[tuple[str, int, int]] = []
    monkeypatch.setattr(progress.WorkProgress, "update", lambda self, *call: calls.append(call))
    inputs = (str(tmp_path), str(tmp_path / "odd#1"))
    texts = list(tokenizer_training.read_texts(inputs, WorkProgress()))
    assert len(texts) == 8
    sizes = [f.stat().st_size for f in sorted(tmp_path.iterdir())]
    done = [call[1] for call in calls]
    assert {call[2] for call in calls} == {sum(sizes)}
    assert done == sorted(done) and done[0] == 1000
    # The last row of the Parquet file ends it, however small it is on the disk.
    assert done[-2:] == [sum(sizes[:3]), sum(sizes)]

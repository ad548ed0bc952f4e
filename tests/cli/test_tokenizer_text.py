"""`llmcore tokenizer encode` and `decode`: the library's ids, from and to everywhere."""

import json
from pathlib import Path

import numpy as np
import pytest

from llmcore.cli import tokenizer_text
from llmcore.cli.app import run
from llmcore.tokenizers import Tokenizer
from tests.support.command import assert_one_line_error, call_llmcore

TEXT = "def function_7(x): héllo\n\n  日本 x\r\nlast"


@pytest.fixture
def loaded(tokenizer_dir: Path) -> Tokenizer:
    return Tokenizer.load(tokenizer_dir)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_bytes(TEXT.encode())
    return path


def test_encode_agrees_with_the_library_and_decode_inverts_it(tokenizer_dir, loaded, capsys):
    text = "def function_7(x): héllo"
    assert run(["tokenizer", "encode", str(tokenizer_dir), text]) == 0
    ids = capsys.readouterr().out.split()
    assert list(map(int, ids)) == loaded.encode(text)
    assert run(["tokenizer", "decode", str(tokenizer_dir), *ids]) == 0
    assert capsys.readouterr().out == text + "\n"


def test_special_tokens_are_text_unless_asked_for(tokenizer_dir, capsys):
    run(["tokenizer", "encode", str(tokenizer_dir), "<|im_end|>", "--json"])
    assert 2 not in json.loads(capsys.readouterr().out)
    run(["tokenizer", "encode", str(tokenizer_dir), "<|im_end|>", "--json", "--special"])
    assert json.loads(capsys.readouterr().out) == [2]


@pytest.mark.parametrize("block_bytes", [3, 1 << 24])
@pytest.mark.parametrize("name", ["ids.npy", "ids.bin", "ids.jsonl", "ids.txt"])
def test_a_file_goes_through_every_kind_of_output(
    name, block_bytes, tokenizer_dir, loaded, notes, tmp_path, monkeypatch
):
    monkeypatch.setattr(tokenizer_text, "BLOCK_BYTES", block_bytes)
    out = tmp_path / name
    done = call_llmcore("tokenizer", "encode", tokenizer_dir, "-i", notes, "--out", out)
    want = loaded.encode(TEXT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{len(want)} ids in {out}\n"
    if name == "ids.npy":
        assert np.load(out).tolist() == want
    back = call_llmcore("tokenizer", "decode", tokenizer_dir, "-i", out, "--raw")
    assert (back.returncode, back.stdout) == (0, TEXT)


@pytest.mark.parametrize("block_bytes", [1, 3, 1 << 24])
@pytest.mark.parametrize("text", ["a\nb c\n\nd", "a\n", "\n\n", "", "one"])
def test_every_line_is_a_text_of_its_own(
    text, block_bytes, tokenizer_dir, loaded, tmp_path, monkeypatch
):
    monkeypatch.setattr(tokenizer_text, "BLOCK_BYTES", block_bytes)
    notes, out = tmp_path / "notes.txt", tmp_path / "ids.jsonl"
    notes.write_bytes(text.encode())
    words = ["tokenizer", "encode", tokenizer_dir, "-i", notes, "--lines", "--out", out]
    assert call_llmcore(*words).returncode == 0
    lines = text.removesuffix("\n").split("\n") if text else []
    rows = [json.loads(row) for row in out.read_text().splitlines()]
    assert rows == [loaded.encode(line) for line in lines]
    back = call_llmcore("tokenizer", "decode", tokenizer_dir, "-i", out, "--lines")
    assert back.stdout == "".join(line + "\n" for line in lines)


def test_bytes_that_are_not_utf8_pass(tokenizer_dir, loaded):
    data = b"ok \xff\xfe \xc3"
    done = call_llmcore("tokenizer", "encode", tokenizer_dir, stdin=data)
    assert list(map(int, done.stdout.split())) == loaded.encode(data)


def test_add_special_is_the_post_processors_business(loaded, tmp_path):
    spec = json.loads(loaded.save(tmp_path / "t.json").read_text())
    spec["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            "<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}
        },
    }
    (tmp_path / "t.json").write_text(json.dumps(spec))
    done = call_llmcore("tokenizer", "encode", tmp_path / "t.json", "x", "--add-special", "--json")
    assert json.loads(done.stdout) == [0, *loaded.encode("x")]
    lines = ["--lines", "--add-special", "--json"]
    done = call_llmcore("tokenizer", "encode", tmp_path / "t.json", *lines, stdin=b"x\ny")
    assert [json.loads(row)[0] for row in done.stdout.splitlines()] == [0, 0]


def test_stats_are_of_the_text(tokenizer_dir, loaded, notes):
    words = ["tokenizer", "encode", tokenizer_dir, "-i", notes, "--stats"]
    table = json.loads(call_llmcore(*words, "--json").stdout)
    size, count = len(TEXT.encode()), len(loaded.encode(TEXT))
    assert (table["bytes"], table["tokens"]) == (size, count)
    assert table["tokens_per_byte"] == count / size and table["mb_per_s"] > 0
    assert f"tokens           {count}\n" in call_llmcore(*words).stdout
    empty = call_llmcore("tokenizer", "encode", tokenizer_dir, "--stats", "--json")
    assert json.loads(empty.stdout)["tokens_per_byte"] is None


def test_decode_can_leave_special_tokens_out(tokenizer_dir, loaded):
    ids = [1, *loaded.encode("hi"), 2]
    words = ["tokenizer", "decode", tokenizer_dir, *map(str, ids)]
    assert call_llmcore(*words).stdout == "<|im_start|>hi<|im_end|>\n"
    assert call_llmcore(*words, "--skip-special").stdout == "hi\n"


@pytest.mark.parametrize(
    ("words", "needle"),
    [
        (["encode", "TOK", "x", "-i", "NOTES"], "not both"),
        (["encode", "TOK", "-i", "nope.txt"], "nope.txt"),
        (["encode", "nope", "x"], "nope"),
        (["encode", "TOK", "x", "--num-threads", "0"], "num-threads"),
        (["decode", "TOK", "1", "-i", "NOTES"], "not both"),
        (["decode", "TOK", "1", "--raw", "--skip-special"], "not both"),
        (["decode", "TOK", "12x"], "12x"),
        (["decode", "TOK", "9" * 5000], "999"),
        (["decode", "TOK", "-i", "NOTES"], "ids must be numbers"),
    ],
)
def test_mistakes_are_one_line(words, needle, tokenizer_dir, notes):
    names = {"TOK": tokenizer_dir, "NOTES": notes}
    done = call_llmcore("tokenizer", *(names.get(word, word) for word in words))
    assert_one_line_error(done, needle)


def test_a_damaged_array_and_ids_out_of_range_are_one_line(tokenizer_dir, tmp_path):
    path = tmp_path / "ids.npy"
    path.write_bytes(b"\x93NUMPY")
    assert_one_line_error(call_llmcore("tokenizer", "decode", tokenizer_dir, "-i", path), "ids.npy")
    np.save(path, np.array([5, 10**6], np.uint32))
    assert_one_line_error(call_llmcore("tokenizer", "decode", tokenizer_dir, "-i", path), "1000000")


def test_nothing_is_left_of_an_output_that_failed(tokenizer_dir, notes, tmp_path, monkeypatch):
    out = tmp_path / "out" / "ids.npy"

    def fail(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tokenizer_text._Counted, "add", fail)
    done = call_llmcore("tokenizer", "encode", tokenizer_dir, "-i", notes, "--out", out)
    assert (done.returncode, done.stderr) == (130, "llmcore: interrupted\n")
    assert list(out.parent.iterdir()) == []

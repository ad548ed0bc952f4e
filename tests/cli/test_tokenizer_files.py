"""`llmcore tokenizer convert` and `inspect`."""

import json
from pathlib import Path

import pytest

from llmcore.cli import tokenizer_files
from llmcore.tokenizers import Tokenizer, formats
from tests.support.command import assert_one_line_error, call_llmcore
from tests.support.tokenizer_files import MERGES, SAMPLES

TEXTS = ["ab a", "un able unable", "abc é"]


def test_the_choices_are_the_librarys_formats():
    assert sorted(tokenizer_files.FORMATS) == sorted(formats.FORMATS)


@pytest.mark.parametrize(
    ("sample", "target", "kind"),
    [
        ("gguf-bpe", "tokenizer.json", "tokenizer.json"),
        ("gguf-llama", "pieces.model", "sentencepiece"),
        ("piece-unigram", "t5.gguf", "gguf"),
        ("vocab-txt", "bert", "llmcore"),
        ("json-wordpiece", "vocab.txt", "vocab.txt"),
        ("json-bpe", "ranks.tiktoken", "tiktoken"),
    ],
)
def test_convert_writes_what_the_name_says(sample, target, kind, tmp_path):
    source, out = tmp_path / "source", tmp_path / "out" / target
    source.write_bytes(SAMPLES[sample])
    done = call_llmcore("tokenizer", "convert", source, out)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"({kind})\n")
    before = Tokenizer.load(source)
    pattern = ("gpt2", {"<e>": 7}) if kind == "tiktoken" else (None, None)
    after = Tokenizer.load(out, pattern=pattern[0], special_tokens=pattern[1])
    texts = ["abc"] if kind == "tiktoken" else TEXTS  # ranks need every byte
    assert [after.encode(text) for text in texts] == [before.encode(text) for text in texts]


def test_convert_with_what_a_rank_file_lacks(tmp_path):
    source = tmp_path / "ranks.tiktoken"
    source.write_bytes(SAMPLES["tiktoken"])
    words = ["tokenizer", "convert", source, tmp_path / "t.json", "--pattern", "cl100k_base"]
    assert call_llmcore(*words, "--special-token", "<|a=b|>=300", "--quiet").stdout == ""
    assert Tokenizer.load(tmp_path / "t.json").special_tokens == {"<|a=b|>": 300}


def test_convert_to_two_files(tmp_path):
    (tmp_path / "vocab.json").write_bytes(SAMPLES["vocab-json"])
    (tmp_path / "merges.txt").write_bytes(MERGES)
    out = tmp_path / "out"
    done = call_llmcore("tokenizer", "convert", tmp_path, out, "--format", "vocab.json")
    assert done.returncode == 0
    assert (out / "merges.txt").read_bytes() == MERGES


@pytest.mark.parametrize(
    ("words", "needle"),
    [
        (["IN", "out.model"], "sentencepiece: cannot express"),
        (["IN", "out", "--format", "pickle"], "pickle"),
        (["nope", "out"], "nope"),
        (["IN", "out", "--special-token", "x"], "TEXT=ID"),
        (["IN", "out", "--special-token", "x=y"], "TEXT=ID"),
    ],
)
def test_what_cannot_be_converted_is_one_line_and_leaves_nothing(words, needle, tmp_path):
    (tmp_path / "in.json").write_bytes(SAMPLES["json-bpe"])
    names = {"IN": tmp_path / "in.json", "out": tmp_path / "out", "out.model": tmp_path / "o.model"}
    done = call_llmcore("tokenizer", "convert", *(names.get(word, word) for word in words))
    assert_one_line_error(done, needle)
    assert [path.name for path in tmp_path.iterdir()] == ["in.json"]


def test_unknown_ranks_say_which_option_is_missing(tmp_path):
    source = tmp_path / "ranks.tiktoken"
    source.write_bytes(SAMPLES["tiktoken"])
    done = call_llmcore("tokenizer", "convert", source, tmp_path / "out")
    assert_one_line_error(done, "pattern must be given")


def test_inspect_prints_what_a_tokenizer_is_made_of(tmp_path):
    path = tmp_path / "bert.json"
    path.write_bytes(SAMPLES["json-wordpiece"])
    done = call_llmcore("tokenizer", "inspect", path)
    assert done.returncode == 0
    for line in ("algorithm       wordpiece", "ids             7", "chat_template   none"):
        assert line + "\n" in done.stdout
    assert '"type": "BertNormalizer"' in done.stdout
    assert "special_tokens  [PAD]=0 [UNK]=1 [CLS]=2 [SEP]=3\n" in done.stdout


def test_inspect_as_json_has_everything(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(SAMPLES["gguf-bpe"])
    done = call_llmcore("tokenizer", "inspect", path, "--json", "--text", "ab\x1bb", "--special")
    facts = json.loads(done.stdout)
    assert facts["algorithm"] == "bpe" and facts["merges"] == 1 and facts["byte_level"] is True
    assert facts["chat_template"] == "{{ messages }}"
    assert facts["special_tokens"] == {"<|end|>": 3}
    first = facts["tokens"][0]
    assert first == {"id": 2, "token": "ab", "begin": 0, "end": 2, "text": "ab"}


def test_inspect_shows_pieces_ids_and_bytes(tokenizer_dir: Path):
    text = "héllo\n<|im_end|>\x1b[2J"
    done = call_llmcore("tokenizer", "inspect", tokenizer_dir, "--text", text, "--special")
    assert done.returncode == 0 and "\x1b" not in done.stdout
    assert "héllo\\n<|im_end|>\\x1b[2J" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["2", "<|im_end|>", "<|im_end|>", "7-17"] in [row[1:] for row in rows]


def test_inspect_of_bytes_split_among_tokens(tokenizer_dir: Path):
    """Tokens that share a character all show it; the line above the table shows it once."""
    done = call_llmcore("tokenizer", "inspect", tokenizer_dir, "--text", "日")
    assert "\n日\n" in done.stdout
    assert done.stdout.count("0-3") == 3

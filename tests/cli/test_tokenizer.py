"""`llmcore tokenizer`: train, encode, decode."""

import json
from pathlib import Path

from llmcore.cli.app import run
from llmcore.tokenizers import Tokenizer
from tests.support.command import run_llmcore


def test_train_writes_a_tokenizer_with_the_chat_tokens_first(text_file, tmp_path, capsys):
    out = tmp_path / "tok"
    assert (
        run(["tokenizer", "train", str(text_file), "--vocab-size", "300", "--out", str(out)]) == 0
    )
    assert "300 ids" in capsys.readouterr().out
    trained = Tokenizer.load(out)
    assert trained.vocab_size == 300
    assert trained.special_tokens == {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2}


def test_encode_agrees_with_the_library_and_decode_inverts_it(tokenizer_dir, capsys):
    text = "def function_7(x): héllo"
    assert run(["tokenizer", "encode", str(tokenizer_dir), text]) == 0
    ids = capsys.readouterr().out.split()
    assert list(map(int, ids)) == Tokenizer.load(tokenizer_dir).encode(text)
    assert run(["tokenizer", "decode", str(tokenizer_dir), *ids]) == 0
    assert capsys.readouterr().out == text + "\n"


def test_special_tokens_are_text_unless_asked_for(tokenizer_dir, capsys):
    run(["tokenizer", "encode", str(tokenizer_dir), "<|im_end|>", "--json"])
    assert 2 not in json.loads(capsys.readouterr().out)
    run(["tokenizer", "encode", str(tokenizer_dir), "<|im_end|>", "--json", "--special"])
    assert json.loads(capsys.readouterr().out) == [2]


def test_a_pipe_of_encode_and_decode_gives_the_text_back(tokenizer_dir: Path):
    encoded = run_llmcore("tokenizer", "encode", tokenizer_dir, "--json", stdin=b"a b\n")
    decoded = run_llmcore("tokenizer", "decode", tokenizer_dir, stdin=encoded.stdout.encode())
    assert (decoded.returncode, decoded.stdout) == (0, "a b\n\n")

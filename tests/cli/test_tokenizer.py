"""`llmcore tokenizer`: the group, and a round of its commands as a shell pipes them."""

from pathlib import Path

from llmcore.cli.app import run
from tests.support.command import run_llmcore

COMMANDS = ("train", "extend", "encode", "decode", "convert", "inspect")


def test_help_lists_the_commands_and_each_has_examples(capsys):
    assert run(["tokenizer", "--help"]) == 0
    listed = capsys.readouterr().out
    for command in COMMANDS:
        assert f"  {command} " in listed
        assert run(["tokenizer", command, "--help"]) == 0
        text = capsys.readouterr().out
        assert f"Examples:\n    llmcore tokenizer {command} " in text


def test_a_pipe_of_encode_and_decode_gives_the_text_back(tokenizer_dir: Path):
    encoded = run_llmcore("tokenizer", "encode", tokenizer_dir, "--json", stdin=b"a b\n")
    decoded = run_llmcore("tokenizer", "decode", tokenizer_dir, stdin=encoded.stdout.encode())
    assert (decoded.returncode, decoded.stdout) == (0, "a b\n\n")

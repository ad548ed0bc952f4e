"""`llmcore chat`: turns, commands, a full context."""

import io

import pytest

from llmcore.cli.app import run
from llmcore.cli.chat import read_turn, speak
from llmcore.errors import DataError
from tests.support.command import call_llmcore

SHORT = ["--max-new-tokens", "4"]


def test_piped_lines_are_turns_and_only_answers_are_printed(model_dir):
    done = call_llmcore("chat", model_dir, *SHORT, stdin=b"hello\n\nagain\n/quit\nnever read\n")
    assert (done.returncode, done.stderr) == (0, "")
    alone = call_llmcore("chat", model_dir, *SHORT, stdin=b"hello\nagain\n")
    assert done.stdout == alone.stdout != ""


def test_a_backslash_at_the_end_of_a_line_joins_the_next(monkeypatch):
    monkeypatch.setattr(
        "sys.stdin", io.TextIOWrapper(io.BytesIO(b"first:\\\na,b\\\nc\nnext\nend\\"))
    )
    assert [read_turn("") for _ in range(4)] == ["first:\na,b\nc\n", "next\n", "end\n", None]


def test_reset_forgets_the_conversation(model_dir):
    once = call_llmcore("chat", model_dir, *SHORT, stdin=b"hello\n").stdout
    twice = call_llmcore("chat", model_dir, *SHORT, stdin=b"hello\n/reset\nhello\n").stdout
    assert twice == once + once


def test_a_system_message_changes_the_conversation(model_dir):
    # An untrained model answers every prompt alike when greedy; sampling shows the difference.
    hot = ["-t", "1.5", "--max-new-tokens", "16"]
    plain = call_llmcore("chat", model_dir, *hot, stdin=b"hello\n").stdout
    guided = call_llmcore("chat", model_dir, *hot, "--system", "Be brief.", stdin=b"hello\n").stdout
    assert plain != guided


def test_bytes_that_are_not_utf8_end_the_chat_with_one_line(model_dir):
    done = call_llmcore("chat", model_dir, *SHORT, stdin=b"\xff\xfe\n")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "not utf-8" in done.stderr


class CrampedSpeaker:
    """Answers with the number of turns that it saw; at most three fit."""

    def answer(self, turns):
        if len(turns) > 3:
            raise DataError("chat: too long")
        return iter([str(len(turns))])


def test_the_oldest_exchange_is_dropped_when_the_context_is_full(capsys):
    turns = [("user", "1"), ("assistant", "2"), ("user", "3"), ("assistant", "4"), ("user", "5")]
    kept = speak(CrampedSpeaker(), turns, opening=[])
    assert kept == [*turns[2:], ("assistant", "3")]
    assert "1 oldest" in capsys.readouterr().err


def test_the_system_message_survives_the_dropping(capsys):
    system = ("system", "s")
    turns = [system, ("user", "1"), ("assistant", "2"), ("user", "3")]
    assert speak(CrampedSpeaker(), turns, opening=[system]) == [
        system,
        ("user", "3"),
        ("assistant", "2"),
    ]


def test_a_last_turn_that_does_not_fit_is_an_error(model_dir, monkeypatch):
    done = call_llmcore("chat", model_dir, *SHORT, stdin=b"word " * 200 + b"\n")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "96 tokens" in done.stderr


@pytest.mark.parametrize("option", ["--temperature", "--top-k", "--top-p", "--seed", "--system"])
def test_the_promised_options_exist(option, capsys):
    run(["chat", "--help"])
    assert option in capsys.readouterr().out

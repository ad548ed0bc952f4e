"""`llmcore generate`: streamed, seeded, scriptable."""

import json

from llmcore.cli.app import run
from tests.support.command import run_llmcore

SAMPLED = ["--temperature", "1.0", "--top-k", "50", "--max-new-tokens", "12"]


def test_the_same_seed_gives_the_same_text_and_another_seed_another(model_dir, capsys):
    texts = []
    for seed in ("1", "1", "2"):
        assert run(["generate", str(model_dir), "def f", "--seed", seed, *SAMPLED]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]


def test_json_holds_the_streamed_text(model_dir, capsys):
    run(["generate", str(model_dir), "def f", *SAMPLED])
    streamed = capsys.readouterr().out
    run(["generate", str(model_dir), "def f", "--json", *SAMPLED])
    assert json.loads(capsys.readouterr().out) == {
        "prompt": "def f",
        "completion": streamed.removesuffix("\n"),
    }


def test_as_chat_is_another_prompt(model_dir, capsys):
    run(["generate", str(model_dir), "def f", *SAMPLED])
    plain = capsys.readouterr().out
    run(["generate", str(model_dir), "def f", "--as-chat", *SAMPLED])
    assert capsys.readouterr().out != plain


def test_the_prompt_may_come_from_a_pipe(model_dir, capsys):
    run(["generate", str(model_dir), "def f", *SAMPLED])
    done = run_llmcore("generate", model_dir, *SAMPLED, stdin=b"def f")
    assert (done.returncode, done.stdout, done.stderr) == (0, capsys.readouterr().out, "")


def test_penalties_and_bias_reach_the_sampler(model_dir, capsys):
    run(["generate", str(model_dir), "def f", *SAMPLED])
    plain = capsys.readouterr().out
    for options in (["--repetition-penalty", "1.9"], ["--logit-bias", "5=100"]):
        assert run(["generate", str(model_dir), "def f", *SAMPLED, *options]) == 0
        assert capsys.readouterr().out != plain


def test_a_wrong_bias_is_one_line(model_dir, capsys):
    assert run(["generate", str(model_dir), "def f", "--logit-bias", "5:1"]) == 2
    assert "--logit-bias: must be ID=VALUE, got '5:1'" in capsys.readouterr().err

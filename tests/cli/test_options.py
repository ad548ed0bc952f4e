"""Shared options are spelt the same on every command that takes them."""

import pytest

from llmcore.cli.app import app


def option_names(command: str) -> set[str]:
    return {name for parameter in app.commands[command].params for name in parameter.opts}


@pytest.mark.parametrize("command", ["quickstart", "pretrain", "sft", "dpo"])
def test_commands_that_start_a_run_take_the_run_options(command):
    assert {"--set", "--out", "--resume", "--quiet"} <= option_names(command)


@pytest.mark.parametrize("command", ["generate", "chat"])
def test_commands_that_sample_take_the_sampling_options(command):
    wanted = {"--temperature", "--top-k", "--top-p", "--seed", "--max-new-tokens"}
    assert wanted <= option_names(command)

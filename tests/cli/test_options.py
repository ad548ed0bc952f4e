"""Shared options are spelt the same on every command that takes them."""

from dataclasses import fields

import pytest

from llmcore.cli.app import app
from llmcore.cli.options import _SAMPLING_NAMES
from llmcore.decoding import SamplingParams


def option_names(command: str) -> set[str]:
    return {name for parameter in app.commands[command].params for name in parameter.opts}


@pytest.mark.parametrize("command", ["quickstart", "pretrain", "sft", "dpo"])
def test_commands_that_start_a_run_take_the_run_options(command):
    assert {"--set", "--out", "--resume", "--quiet"} <= option_names(command)


@pytest.mark.parametrize("command", ["generate", "chat"])
def test_commands_that_sample_take_the_sampling_options(command):
    wanted = {"--temperature", "--top-k", "--top-p", "--min-p", "--typical-p"}
    wanted |= {"--repetition-penalty", "--frequency-penalty", "--presence-penalty"}
    wanted |= {"--logit-bias", "--seed", "--max-new-tokens"}
    assert wanted <= option_names(command)


def test_sampling_options_are_the_fields_of_the_sampling_params():
    names = set(_SAMPLING_NAMES)
    assert names == {field.name for field in fields(SamplingParams)} - {"stop_ids"}

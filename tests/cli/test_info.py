"""`llmcore info`: complete, and the same facts as JSON."""

import json

import pytest

from llmcore import ops
from llmcore.cli.app import run
from llmcore.cli.info import collect


def test_json_is_the_collected_facts(capsys):
    assert run(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(collect()))


def test_every_op_and_the_instruction_set_are_shown(capsys):
    assert run(["info"]) == 0
    text = capsys.readouterr().out
    assert all(op in text for op in ops.op_backends())
    for section in ("versions", "build", "devices", "ops"):
        assert f"\n{section}\n" in f"\n{text}"
    assert str(ops.build_info()["cpu_isa"]) in text


@pytest.mark.gpu
def test_a_gpu_is_named(capsys):
    import torch

    run(["info"])
    assert torch.cuda.get_device_name() in capsys.readouterr().out

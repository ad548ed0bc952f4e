"""SIGKILL at any moment, also in the middle of a checkpoint: the losses are those of one run."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmcore.config import to_toml
from llmcore.training import read_metrics
from tests.support.toy_pretraining import toy_config

TRAIN = """
import sys
from pathlib import Path
import torch
from llmcore.config import from_toml
from llmcore.pretraining import PretrainConfig, run
torch.set_num_threads(1)
{sabotage}
run(from_toml(PretrainConfig, Path(sys.argv[1]).read_text()), out_dir=sys.argv[2], quiet=True)
"""
DIE_WHILE_SAVING = """
import os, signal
import safetensors.torch
whole = safetensors.torch.save_file
def half(tensors, path, metadata=None):
    whole(tensors, path, metadata=metadata)
    if "step-{step:010d}" in str(path):
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
safetensors.torch.save_file = half
"""


@pytest.fixture(scope="module")
def config_file(
    tokenizer_dir: Path, documents_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("kill") / "config.toml"
    config = toy_config(tokenizer_dir, documents_file, num_steps=40, checkpoint_every=3)
    path.write_text(to_toml(config))
    return path


@pytest.fixture(scope="module")
def straight(config_file: Path) -> list[float]:
    out_dir = config_file.parent / "straight"
    assert start(config_file, out_dir).wait() == 0
    return losses(out_dir)


def start(config_file: Path, out_dir: Path, sabotage: str = "") -> subprocess.Popen:
    script = TRAIN.format(sabotage=sabotage)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, str(config_file), str(out_dir)]
    return subprocess.Popen(command, env=environment)


def losses(out_dir: Path) -> list[float]:
    rows = read_metrics(out_dir / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 41))
    return [row["loss"] for row in rows]


def kill_after_rows(process: subprocess.Popen, metrics: Path, rows: int) -> None:
    """SIGKILL once the metrics file has so many lines, wherever the process then is."""
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if metrics.exists() and metrics.read_bytes().count(b"\n") >= rows:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    process.wait()


@pytest.mark.slow
def test_killed_at_random_steps(config_file: Path, straight: list[float], tmp_path: Path):
    rng = random.Random(0)
    for rows in sorted(rng.sample(range(2, 39), 3)):
        process = start(config_file, tmp_path)
        kill_after_rows(process, tmp_path / "metrics.jsonl", rows)
        assert process.returncode == -signal.SIGKILL
    assert start(config_file, tmp_path).wait() == 0
    assert losses(tmp_path) == straight


@pytest.mark.slow
def test_killed_while_a_checkpoint_is_written(
    config_file: Path, straight: list[float], tmp_path: Path
):
    process = start(config_file, tmp_path, DIE_WHILE_SAVING.format(step=12))
    assert process.wait() == -signal.SIGKILL
    checkpoints = tmp_path / "checkpoints"
    assert [path.name for path in checkpoints.glob("step-*")][-1:] != []
    assert len(list(checkpoints.glob(".*"))) == 1
    assert start(config_file, tmp_path).wait() == 0
    assert losses(tmp_path) == straight
    assert not list(checkpoints.glob(".*"))

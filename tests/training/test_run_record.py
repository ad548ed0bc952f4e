"""run.toml says what ran and with which versions."""

import platform
from pathlib import Path

import pytest
import torch

from llmcore.config import from_table
from llmcore.errors import ConfigError
from llmcore.training import TrainConfig, read_run_record, versions, write_run_record
from tests.support.toy_run import ToyConfig


def test_the_record_gives_back_the_config(tmp_path: Path):
    config = ToyConfig(data="é", train=TrainConfig(num_steps=3, seq_len=7))
    path = write_run_record(tmp_path, "toy", config)
    for place in (path, tmp_path):
        record = read_run_record(place)
        assert record.stage == "toy"
        assert from_table(ToyConfig, record.config_table) == config
        assert record.versions == versions()


def test_versions_are_those_in_use():
    assert versions()["torch"] == torch.__version__
    assert versions()["python"] == platform.python_version()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"stage = ", "must be TOML"),
        (b"\xff\xfe", "must be TOML"),
        (b"x = 1", "must have a key 'stage' and a table 'config'"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, words: str):
    (tmp_path / "run.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        read_run_record(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match="run.toml: no such file"):
        read_run_record(tmp_path)

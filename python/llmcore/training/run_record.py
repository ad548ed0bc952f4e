"""run.toml: the fully resolved configuration of a run and the versions that produced it."""

import importlib.metadata
import platform
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tomli_w
import torch

from llmcore.checkpoint import atomic_write
from llmcore.config import Config, to_table
from llmcore.errors import ConfigError

RUN_FILE: Final = "run.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """What run.toml says."""

    stage: str
    """Which stage it configures: `pretrain`, `sft`, `dpo`, ..."""
    config_table: dict[str, Any]
    """For `config.from_table` with the stage's config class."""
    versions: dict[str, str]
    """Of llmcore, torch and Python."""


def write_run_record(out_dir: str | Path, stage: str, config: Config) -> Path:
    """Write `out_dir/run.toml` atomically.

    Args:
        out_dir: Existing directory of the run.
        stage: Which stage the config is for.
        config: Fully resolved.

    Raises:
        CheckpointError: it cannot be written.
    """
    path = Path(out_dir) / RUN_FILE
    record = {"stage": stage, "versions": versions(), "config": to_table(config)}
    atomic_write(path, tomli_w.dumps(record))
    return path


def read_run_record(path: str | Path) -> RunRecord:
    """Read a run.toml.

    Args:
        path: The file, or the directory of the run.

    Raises:
        ConfigError: missing file, not TOML, or not a record of a run.
    """
    path = Path(path)
    path = path / RUN_FILE if path.is_dir() else path
    try:
        table = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: must be TOML, got {error}") from error
    stage, config, noted = table.get("stage"), table.get("config"), table.get("versions", {})
    if not isinstance(stage, str) or not isinstance(config, dict):
        raise ConfigError(f"{path}: must have a key 'stage' and a table 'config'")
    return RunRecord(stage=stage, config_table=config, versions=noted)


def versions() -> dict[str, str]:
    """Versions of llmcore, torch and Python in use."""
    try:
        own = importlib.metadata.version("llmcore")
    except importlib.metadata.PackageNotFoundError:
        own = "not installed"
    return {"llmcore": own, "torch": str(torch.__version__), "python": platform.python_version()}

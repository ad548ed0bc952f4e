"""One toy run of the whole path, shared by the tests of the room."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmcore import pipeline
from llmcore.pipeline import Layout, PipelineConfig, StageConfig
from llmcore.recipes import quickstart


def shorten(stage: StageConfig, num_steps: int) -> StageConfig:
    """A stage of a few steps, logged at every one."""
    return replace(
        stage,
        train=replace(
            stage.train, num_steps=num_steps, seq_len=128, checkpoint_every=2, log_every=1
        ),
        optim=replace(stage.optim, warmup_steps=1),
    )


def toy_config() -> PipelineConfig:
    """The smoke recipe cut down to seconds."""
    smoke = quickstart("smoke")
    return replace(
        smoke,
        max_data_bytes=250_000,
        val_fraction=0.1,
        vocab_size=400,
        model=replace(
            smoke.model,
            vocab_size=400,
            hidden_size=16,
            intermediate_size=32,
            num_layers=1,
            num_heads=2,
            num_kv_heads=1,
            head_dim=8,
        ),
        pretrain=shorten(smoke.pretrain, 4),
        sft=shorten(smoke.sft, 4),
        dpo=shorten(smoke.dpo, 2),
        num_exercises=200,
        num_style_chats=20,
        num_pairs=24,
        num_eval_exercises=2,
        num_eval_pairs=16,
    )


@pytest.fixture(scope="session")
def toy_pipeline() -> PipelineConfig:
    """Config of the toy run."""
    return toy_config()


@pytest.fixture(scope="session")
def finished(
    toy_pipeline: PipelineConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Layout, dict[str, Any]]:
    """Layout and metrics of a finished toy run. Read only."""
    root: Path = tmp_path_factory.mktemp("toy-pipeline") / "run"
    metrics = pipeline.run(toy_pipeline, out_dir=root, quiet=True)
    return Layout(root), metrics

"""A result tells where the model is."""

from pathlib import Path

from llmcore.training import StageResult


def test_fields():
    result = StageResult(
        model_dir=Path("a"),
        metrics_path=Path("b"),
        final_loss=1.0,
        steps=2,
        tokens=3,
        seconds=4.0,
    )
    assert (result.model_dir, result.steps) == (Path("a"), 2)

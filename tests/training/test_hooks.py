"""The library's own hooks follow the protocol."""

from pathlib import Path

from llmcore.training import Hook, MetricsLog, TensorBoardHook, progress_hook


def test_the_built_in_hooks_are_hooks(tmp_path: Path):
    assert isinstance(MetricsLog(tmp_path / "m", every=1, num_steps=1), Hook)
    assert isinstance(TensorBoardHook(tmp_path, every=1), Hook)
    assert isinstance(progress_hook("x", num_steps=1), Hook)
    assert not isinstance(object(), Hook)

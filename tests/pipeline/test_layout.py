"""Every path lies under the run's directory, no two in one place."""

from pathlib import Path

from llmcore.pipeline.layout import Layout


def test_paths():
    layout = Layout(Path("runs/x"))
    properties = [n for n, v in vars(Layout).items() if isinstance(v, property)]
    paths = [getattr(layout, name) for name in properties]
    paths += [layout.stage("sft"), layout.result("sft")]
    assert len(properties) >= 10
    assert len(set(paths)) == len(paths)
    assert all(path.is_relative_to("runs/x") for path in paths)
    assert layout.stage("dpo") == Path("runs/x/dpo")

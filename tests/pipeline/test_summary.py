"""The terminal shows the table, the targets and the command to chat."""

from llmcore.pipeline.summary import print_step, print_summary


def test_summary(finished, capsys):
    layout, metrics = finished
    print_step("pretrain")
    print_summary(metrics, layout)
    shown = capsys.readouterr().out
    assert "[4/10] Pre-train" in shown
    assert "sort digits" in shown
    assert shown.count("not met") == sum(not t["met"] for t in metrics["targets"].values())
    flat = "".join(shown.split())
    assert f"llmcorechat{layout.stage('dpo')}" in flat

"""Drawings take the page's colour and hold their numbers as text."""

import numpy as np
import pytest

from llmcore.pipeline import charts

ROWS = {
    stage: [
        {"step": i + 1, "loss": 5.0 / (i + 1), "tokens_per_s": 1e4, "rss_mb": 300.0}
        for i in range(90)
    ]
    for stage in ("pretrain", "sft", "dpo")
}
LANGUAGE = {
    "bits_per_byte": 1.234,
    "ngram_kneser_ney_bits_per_byte": 1.5,
    "ngram_jelinek_mercer_bits_per_byte": 1.625,
}
CHAT = {
    stage: {"exact_match_by_skill": {"swap": share, "add": 0.0}, "preference_accuracy": share}
    for stage, share in (("pretrain", 0.0), ("sft", 0.5), ("dpo", 0.97))
}


@pytest.mark.parametrize(
    ("svg", "words"),
    [
        (charts.loss_chart(ROWS), ["Pre-training", "Preference alignment", "loss, nats"]),
        (charts.resource_chart(ROWS), ["Memory, MB"]),
        (charts.language_chart(LANGUAGE), ["1.234", "1.500", "1.625"]),
        (charts.skill_chart(CHAT), ["swap", "add", ">50<"]),
    ],
)
def test_svg(svg, words):
    assert svg.startswith("<svg")
    assert "currentColor" in svg
    assert "#123457" not in svg
    text = svg.replace("> ", ">")
    assert [word for word in words if word not in text] == []


def test_the_same_numbers_give_the_same_drawing():
    assert charts.skill_chart(CHAT) == charts.skill_chart(CHAT)


def test_panel(tmp_path):
    path = tmp_path / "panel.png"
    charts.save_panel(path, ROWS, {"language": LANGUAGE, "chat": CHAT})
    assert path.read_bytes().startswith(b"\x89PNG")


def test_smoothing_keeps_a_constant_and_the_length():
    assert charts._smooth([2.5] * 500) == pytest.approx(np.full(500, 2.5))
    assert len(charts._smooth([1.0, 2.0])) == 2

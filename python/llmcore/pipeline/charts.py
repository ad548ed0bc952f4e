"""The report's drawings, as SVG that takes the page's text colour and as one PNG."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BEFORE, AFTER, ALIGNED = "#9aa5b1", "#2f7ebc", "#d9822b"
_INK: Final = "#123457"
"""Stands for the text colour in an SVG, where `currentColor` replaces it."""
_STAGE_COLOURS: Final = {"pretrain": "#5b6abf", "sft": AFTER, "dpo": ALIGNED}
_STAGE_TITLES: Final = {
    "pretrain": "Pre-training",
    "sft": "Instruction tuning",
    "dpo": "Preference alignment",
}

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def loss_chart(rows: Rows) -> str:
    """Training loss per step, one panel per stage."""
    return _svg((9.6, 2.7), len(rows), lambda axes: _draw_losses(axes, rows))


def resource_chart(rows: Rows) -> str:
    """Tokens per second and resident memory over the steps of each stage."""

    def draw(axes: list[Axes]) -> None:
        for stage, points in rows.items():
            steps = [row["step"] / points[-1]["step"] for row in points]
            colour, title = _STAGE_COLOURS[stage], _STAGE_TITLES[stage]
            speed = _smooth([row["tokens_per_s"] / 1000 for row in points])
            axes[0].plot(steps, speed, color=colour, label=title)
            axes[1].plot(steps, [row["rss_mb"] for row in points], color=colour)
        for axis, title in zip(axes, ("Thousand tokens per second", "Memory, MB"), strict=True):
            axis.set_title(title, loc="left")
            axis.set_xlabel("part of the stage")
            axis.set_ylim(bottom=0)
        axes[0].legend(frameon=False, fontsize=8, labelcolor="linecolor")

    return _svg((9.6, 2.6), 2, draw)


def language_chart(language: Mapping[str, Any]) -> str:
    """Bits per byte of the model and of the 3-gram models."""
    return _svg((9.6, 1.5), 1, lambda axes: _draw_language(axes[0], language))


def skill_chart(chat: Mapping[str, Any]) -> str:
    """Exact match per skill before and after tuning."""
    height = 0.6 + 0.32 * len(chat["sft"]["exact_match_by_skill"])
    return _svg((9.6, height), 1, lambda axes: _draw_skills(axes[0], chat))


def save_panel(path: Path, rows: Rows, metrics: Mapping[str, Any]) -> None:
    """The main results as one PNG on white."""
    with matplotlib.rc_context(_style("#24313f")):
        figure = Figure(figsize=(10.5, 6.4), layout="constrained", facecolor="white")
        grid = figure.add_gridspec(3, 3, height_ratios=(1.25, 0.62, 1.9))
        _draw_losses([figure.add_subplot(grid[0, i]) for i in range(3)], rows)
        _draw_language(figure.add_subplot(grid[1, :]), metrics["language"])
        _draw_skills(figure.add_subplot(grid[2, :2]), metrics["chat"])
        _draw_preferences(figure.add_subplot(grid[2, 2]), metrics["chat"])
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110)
    path.write_bytes(buffer.getvalue())


def _draw_losses(axes: list[Axes], rows: Rows) -> None:
    for axis, (stage, points) in zip(axes, rows.items(), strict=True):
        steps, losses = ([row[key] for row in points] for key in ("step", "loss"))
        colour = _STAGE_COLOURS[stage]
        axis.plot(steps, losses, color=colour, alpha=0.25, linewidth=0.8)
        axis.plot(steps, _smooth(losses), color=colour, linewidth=1.6)
        axis.set_title(_STAGE_TITLES[stage], loc="left")
        axis.set_xlabel("step")
        axis.set_ylim(bottom=0)
    axes[0].set_ylabel("loss, nats")


def _draw_language(axis: Axes, language: Mapping[str, Any]) -> None:
    names = ["this model", "3-gram, Kneser-Ney", "3-gram, Jelinek-Mercer"]
    values = [
        language["bits_per_byte"],
        language["ngram_kneser_ney_bits_per_byte"],
        language["ngram_jelinek_mercer_bits_per_byte"],
    ]
    bars = axis.barh(names, values, color=[AFTER, BEFORE, BEFORE], height=0.65)
    axis.bar_label(bars, [f" {value:.3f}" for value in values], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(0, max(values) * 1.1)
    axis.set_title("Bits per byte of held-out text (less is better)", loc="left")
    axis.set_xticks([])
    axis.spines["bottom"].set_visible(False)


def _draw_skills(axis: Axes, chat: Mapping[str, Any]) -> None:
    after = chat["sft"]["exact_match_by_skill"]
    skills = sorted(after, key=lambda skill: -after[skill])
    place = np.arange(len(skills))
    for offset, stage, colour, label in (
        (-0.2, "pretrain", BEFORE, "pre-trained"),
        (0.2, "sft", AFTER, "tuned"),
    ):
        shares = [100 * chat[stage]["exact_match_by_skill"].get(skill, 0) for skill in skills]
        bars = axis.barh(place + offset, shares, height=0.38, color=colour, label=label)
        axis.bar_label(bars, [f" {share:.0f}" for share in shares], fontsize=7)
    axis.axvline(80, linewidth=0.8, linestyle=":", color=ALIGNED)
    axis.set_yticks(place, skills)
    axis.invert_yaxis()
    axis.set_xlim(0, 108)
    axis.set_title("Exact match on held-out exercises, % (dotted: target)", loc="left")
    axis.legend(frameon=False, fontsize=8, loc="lower right")


def _draw_preferences(axis: Axes, chat: Mapping[str, Any]) -> None:
    names = ["tuned", "aligned"]
    shares = [100 * chat[stage]["preference_accuracy"] for stage in ("sft", "dpo")]
    bars = axis.bar(names, shares, color=[AFTER, ALIGNED], width=0.6)
    axis.bar_label(bars, [f"{share:.0f}" for share in shares], fontsize=8)
    axis.axhline(85, linewidth=0.8, linestyle=":", color=ALIGNED)
    axis.set_ylim(0, 108)
    axis.set_title("Preference accuracy, %", loc="left")


def _smooth(values: Sequence[float], *, parts: int = 40) -> np.ndarray:
    """Mean over a centred window of 1/`parts` of the series, shorter at both ends."""
    half = len(values) // (2 * parts)
    total = np.concatenate([[0.0], np.cumsum(values)])
    middle = np.arange(len(values))
    low, high = np.maximum(middle - half, 0), np.minimum(middle + half + 1, len(values))
    return (total[high] - total[low]) / (high - low)


def _style(ink: str) -> Any:
    # Any: matplotlib types its settings by hundreds of literal names.
    return {
        "font.size": 9,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "llmcore",
        "font.family": "sans-serif",
        **dict.fromkeys(
            ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), ink
        ),
    }


def _svg(size: tuple[float, float], num_columns: int, draw: Callable[[list[Axes]], None]) -> str:
    with matplotlib.rc_context(_style(_INK)):
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_alpha(0)
        axes = list(figure.subplots(1, num_columns, squeeze=False)[0])
        for axis in axes:
            axis.patch.set_alpha(0)
        draw(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    drawing = buffer.getvalue()
    return drawing[drawing.index("<svg") :].replace(_INK, "currentColor")

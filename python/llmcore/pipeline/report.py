"""report.html: one self-contained page with the run's curves, tables, samples and settings."""

import html
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from llmcore.checkpoint import atomic_file, atomic_write
from llmcore.pipeline import charts
from llmcore.pipeline.layout import Layout
from llmcore.training.metrics_log import read_metrics

_STAGE_TITLES = {"pretrain": "pre-training", "sft": "instruction tuning", "dpo": "alignment"}


def write_report(metrics: dict[str, Any], layout: Layout) -> None:
    """Write report.html and report.png.

    Args:
        metrics: What metrics.json holds.
        layout: Where the stages' metrics.jsonl lie and the report goes.
    """
    rows = {
        stage: [r for r in read_metrics(layout.stage(stage) / "metrics.jsonl") if "loss" in r]
        for stage in metrics["stages"]
    }
    atomic_write(layout.report, render_report(metrics, rows))
    with atomic_file(layout.picture) as temp:
        charts.save_panel(temp, rows, metrics)


def render_report(metrics: dict[str, Any], rows: charts.Rows) -> str:
    """The page as HTML without a reference to anything outside it."""
    template = files("llmcore.pipeline").joinpath("report_template.html").read_text("utf-8")
    parts = {
        "lead": _lead(metrics),
        "targets": _targets(metrics["targets"]),
        "loss_chart": charts.loss_chart(rows),
        "stages": _stages(metrics),
        "resource_chart": charts.resource_chart(rows),
        "language_chart": charts.language_chart(metrics["language"]),
        "language": _language(metrics["language"]),
        "continuations": _continuations(metrics["language"]["continuations"]),
        "skill_chart": charts.skill_chart(metrics["chat"]),
        "skills": _skills(metrics),
        "answers": _answers(metrics["chat"]["sft"]["samples"]),
        "preferences": _preferences(metrics["chat"]),
        "styles": _styles(metrics["chat"]),
        "machine": _pairs(metrics["machine"]),
        "data": _pairs({k: v for k, v in metrics["data"].items() if not isinstance(v, list)}),
        "config": _pairs(_flatten(metrics["config"])),
        "steps": _table(
            ("step", "seconds"), ([n, f"{s:.1f}"] for n, s in metrics["step_seconds"].items())
        ),
    }
    for name, part in parts.items():
        template = template.replace(f"<!-- {name} -->", part)
    return template


def _lead(metrics: dict[str, Any]) -> str:
    minutes = metrics["total_seconds"] / 60
    data, stages = metrics["data"], metrics["stages"]
    tokens = sum(stage["tokens"] for stage in stages.values())
    met = sum(target["met"] for target in metrics["targets"].values())
    return (
        f"{metrics['num_params'] / 1e6:.2f} million parameters, {data['num_bytes'] / 1e6:.1f} MB "
        f"of text, {tokens / 1e6:.2f} million training tokens, {minutes:.1f} minutes on "
        f"{metrics['machine']['threads']} threads. {met} of {len(metrics['targets'])} targets met."
    )


def _targets(targets: Mapping[str, Mapping[str, Any]]) -> str:
    return _table(
        ("", "promise", "measured"),
        (
            [_mark(bool(t["met"])), _text(t["promise"]), _text(t["measured"])]
            for t in targets.values()
        ),
    )


def _stages(metrics: dict[str, Any]) -> str:
    return _table(
        ("stage", "steps", "tokens", "seconds", "tokens/s", "last loss"),
        (
            [
                _STAGE_TITLES[name],
                f"{stage['steps']:,}",
                f"{stage['tokens']:,}",
                f"{stage['seconds']:.0f}",
                f"{stage['tokens_per_s']:,.0f}",
                f"{stage['final_loss']:.3f}",
            ]
            for name, stage in metrics["stages"].items()
        ),
    )


def _language(language: Mapping[str, Any]) -> str:
    model = language["bits_per_byte"]
    rows = [
        ("this model", model),
        ("3-gram, interpolated Kneser-Ney", language["ngram_kneser_ney_bits_per_byte"]),
        (
            "3-gram, Jelinek-Mercer with count buckets",
            language["ngram_jelinek_mercer_bits_per_byte"],
        ),
    ]
    return _table(
        ("model", "bits per byte", "gap to this model"),
        ([_text(name), f"{value:.4f}", f"{value - model:+.4f}"] for name, value in rows),
    )


def _skills(metrics: dict[str, Any]) -> str:
    chat, hard = metrics["chat"], set(metrics["data"]["hard_skills"])
    rows = []
    for skill in chat["sft"]["exact_match_by_skill"]:
        name = (
            f"{_text(skill)} <small>(expected to be too hard)</small>" if skill in hard else skill
        )
        shares = (chat[stage]["exact_match_by_skill"].get(skill, 0.0) for stage in chat)
        unseen = chat["sft"]["exact_match_unseen_words"].get(skill, 0.0)
        rows.append([name, *(f"{100 * share:.1f}" for share in shares), f"{100 * unseen:.1f}"])
    means = (f"<b>{100 * chat[s]['exact_match']:.1f}</b>" for s in chat)
    rows.append(["<b>all</b>", *means, ""])
    return _table(("skill", "pre-trained", "tuned", "aligned", "tuned, unseen words"), rows)


def _answers(samples: Sequence[Mapping[str, Any]]) -> str:
    return _table(
        ("", "skill", "request", "expected", "answer"),
        (
            [
                _mark(bool(s["right"])),
                _text(s["skill"]),
                _code(s["prompt"]),
                _code(s["expected"]),
                _code(s["answer"]),
            ]
            for s in samples
        ),
    )


def _continuations(samples: Sequence[Mapping[str, str]]) -> str:
    return "".join(f"<pre><b>{_text(s['prompt'])}</b>{_text(s['text'])}</pre>" for s in samples)


def _preferences(chat: Mapping[str, Any]) -> str:
    dpo = chat["dpo"]
    accuracy = _table(
        ("", "pre-trained", "tuned", "aligned"),
        [
            ["preference accuracy", *(f"{chat[s]['preference_accuracy']:.3f}" for s in chat)],
            ["mean margin, nats", *(f"{chat[s]['preference_margin']:+.2f}" for s in chat)],
        ],
    )
    kl = _table(
        ("KL(aligned || tuned), nats", "per token", "per answer"),
        [
            [
                f"answers to the held-out {name}",
                f"{dpo[f'kl_{name}_per_token']:.4f}",
                f"{dpo[f'kl_{name}_per_answer']:.3f}",
            ]
            for name in ("preferences", "exercises")
        ],
    )
    return accuracy + kl


def _styles(chat: Mapping[str, Any]) -> str:
    before, after = (chat[stage]["style_samples"] for stage in ("sft", "dpo"))
    return _table(
        ("request", "tuned", "aligned"),
        (
            [_code(b["prompt"]), _code(b["answer"]), _code(a["answer"])]
            for b, a in zip(before, after, strict=True)
        ),
    )


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _pairs(table: Mapping[str, Any]) -> str:
    return _table(
        ("", ""),
        (
            [_text(key), _text(f"{value:,}" if type(value) is int else str(value))]
            for key, value in table.items()
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML; the caller has escaped them."""
    titles = "".join(f"<th>{title}</th>" for title in head)
    top = f"<thead><tr>{titles}</tr></thead>" if any(head) else ""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table>{top}<tbody>{body}</tbody></table></div>'


def _mark(good: bool) -> str:
    return '<b class="yes">&#10003;</b>' if good else '<b class="no">&#10007;</b>'


def _text(text: str) -> str:
    return html.escape(text)


def _code(text: str) -> str:
    return f"<code>{html.escape(text)}</code>"

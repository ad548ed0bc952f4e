"""What the run tells its user in the terminal."""

from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from llmcore.pipeline.layout import Layout

_TITLES: Final = {
    "documents": "Gather the documents",
    "tokenizer": "Train the tokenizer",
    "exercises": "Generate exercises and preference pairs",
    "pretrain": "Pre-train",
    "language": "Measure bits per byte against 3-gram models",
    "chat_pretrain": "Ask the pre-trained model the held-out exercises",
    "sft": "Tune on instructions",
    "chat_sft": "Ask the tuned model",
    "dpo": "Align with preferences",
    "chat_dpo": "Ask the aligned model",
}


def print_step(name: str) -> None:
    """Announce a step."""
    number = list(_TITLES).index(name) + 1
    Console().print(f"[bold][{number}/{len(_TITLES)}][/bold] {_TITLES[name]}", highlight=False)


def print_summary(metrics: dict[str, Any], layout: Layout) -> None:
    """Exact match before and after, the promises, and what to do next."""
    console = Console()
    console.print(_skills(metrics))
    console.print(_targets(metrics["targets"]))
    minutes, seconds = divmod(round(metrics["total_seconds"]), 60)
    console.print(f"{minutes} min {seconds} s in all. Report: {layout.report}", highlight=False)
    console.print(f"Chat with it:  llmcore chat {layout.stage('dpo')}", highlight=False)


def _skills(metrics: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Exact match on held-out exercises, %")
    table.add_column("skill")
    for title in ("pre-trained", "tuned", "aligned"):
        table.add_column(title, justify="right")
    chat = metrics["chat"]
    for skill in chat["sft"]["exact_match_by_skill"]:
        shares = (chat[s]["exact_match_by_skill"].get(skill, 0.0) for s in chat)
        table.add_row(skill, *(f"{100 * share:.0f}" for share in shares))
    table.add_section()
    table.add_row("all", *(f"{100 * chat[s]['exact_match']:.0f}" for s in chat))
    return table


def _targets(targets: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="What it must show")
    table.add_column("")
    table.add_column("promise")
    table.add_column("measured")
    for target in targets.values():
        mark = "[green]met[/green]" if target["met"] else "[yellow]not met[/yellow]"
        table.add_row(mark, target["promise"], target["measured"])
    return table

"""Held-out exercises as a JSONL file: instruction rows that also name their skill."""

import json
from collections.abc import Iterable
from pathlib import Path

from llmcore.checkpoint import atomic_write
from llmcore.data import read_conversations
from llmcore.errors import DataError
from llmcore.evals.exact_match import Question


def write_questions(path: str | Path, questions: Iterable[Question]) -> None:
    """Write one instruction row per question, with its group under `skill`."""
    rows = [
        {
            "skill": question.group,
            "messages": [
                {"role": "user", "content": question.prompt},
                {"role": "assistant", "content": question.answer},
            ],
        }
        for question in questions
    ]
    atomic_write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_questions(path: str | Path) -> list[Question]:
    """Read instruction rows of one user and one assistant message each.

    Raises:
        DataError: the file is missing or malformed, or a chat has other turns.
    """
    chats = read_conversations(path)
    lines = [
        line for line in Path(path).read_text(encoding="utf-8-sig").splitlines() if line.strip()
    ]
    questions = []
    for number, (chat, line) in enumerate(zip(chats, lines, strict=True), start=1):
        if [message.role for message in chat] != ["user", "assistant"]:
            raise DataError(
                f"{path}: row {number} must be one user and one assistant message, "
                f"got {', '.join(message.role for message in chat)}"
            )
        skill = json.loads(line).get("skill", "all")
        questions.append(Question(group=str(skill), prompt=chat[0].content, answer=chat[1].content))
    return questions

"""Exact match: the share of held-out exercises answered with exactly the right text."""

from collections.abc import Sequence
from dataclasses import dataclass

from llmcore.data import Message, encode_chat
from llmcore.decoding import SamplingParams
from llmcore.errors import DataError
from llmcore.inference import generate
from llmcore.models import Decoder
from llmcore.tokenizers import IM_END, Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A prompt, the answer that counts, and the group it is reported under."""

    group: str
    prompt: str
    answer: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a model said to a question."""

    question: Question
    text: str

    @property
    def is_right(self) -> bool:
        """Equal to the expected answer, white space at both ends aside."""
        return self.text.strip() == self.question.answer.strip()


def answer_questions(
    model: Decoder,
    tokenizer: Tokenizer,
    questions: Sequence[Question],
    *,
    params: SamplingParams | None = None,
    batch_size: int = 128,
) -> list[Answer]:
    """Ask every question as the first turn of a chat.

    Args:
        model: Decoder.
        tokenizer: With the ChatML markers.
        questions: Each fits the model's context with room for its answer.
        params: Greedy and up to 48 new tokens by default; the closing marker is added as a stop.
        batch_size: Questions per generated batch.

    Raises:
        DataError: no questions.
    """
    if not questions:
        raise DataError("answer_questions: questions must be at least one, got none")
    stop_id = tokenizer.token_to_id(IM_END)
    stops = () if stop_id is None else (stop_id,)
    params = params or SamplingParams(max_new_tokens=48, stop_ids=stops)
    prompts = [
        encode_chat(
            tokenizer, [Message(role="user", content=q.prompt)], add_generation_prompt=True
        ).ids
        for q in questions
    ]
    outputs = generate(model, prompts, params, batch_size=batch_size)
    return [
        Answer(question=question, text=tokenizer.decode(ids))
        for question, ids in zip(questions, outputs, strict=True)
    ]


def exact_match(answers: Sequence[Answer]) -> dict[str, float]:
    """Share of right answers per group, in [0, 1], groups in order of appearance."""
    groups: dict[str, list[bool]] = {}
    for answer in answers:
        groups.setdefault(answer.question.group, []).append(answer.is_right)
    return {group: sum(right) / len(right) for group, right in groups.items()}

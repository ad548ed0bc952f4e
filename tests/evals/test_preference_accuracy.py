"""Log-probabilities of answers, and the share of pairs they agree with."""

import pytest
import torch

from llmcore.data import Message, PreferencePair, encode_chat
from llmcore.errors import DataError
from llmcore.evals.preference_accuracy import answer_logprobs, preference_accuracy
from llmcore.models import load_pretrained
from llmcore.tokenizers import Tokenizer


@pytest.fixture(scope="module")
def chat(model_dir):
    return load_pretrained(model_dir, dtype=torch.float32), Tokenizer.load(model_dir)


def says(role: str, content: str) -> tuple[Message, ...]:
    return (Message(role=role, content=content),)


CHATS = [
    (says("user", "one"), says("assistant", "x + 1")),
    (says("user", "two and more"), says("assistant", "return")),
]


def test_logprobs_are_sums_over_the_answer_and_its_marker(chat):
    model, tokenizer = chat
    found = answer_logprobs(model, tokenizer, CHATS)
    for (prompt, answer), logprob in zip(CHATS, found.tolist(), strict=True):
        head = encode_chat(tokenizer, prompt, add_generation_prompt=True).ids
        tail = [*tokenizer.encode(answer[0].content), tokenizer.token_to_id("<|im_end|>")]
        logits = model(torch.tensor([head + tail]))[0].log_softmax(-1)
        each = [logits[len(head) - 1 + i, token].item() for i, token in enumerate(tail)]
        assert logprob == pytest.approx(sum(each), rel=1e-5)


def test_accuracy_is_the_share_of_wins_and_a_swap_turns_it_round(chat):
    model, tokenizer = chat
    pairs = [
        PreferencePair(
            prompt=says("user", f"say {i}"),
            chosen=says("assistant", "return x" if i % 3 else "fox"),
            rejected=says("assistant", "the quick brown" if i % 2 else "def"),
        )
        for i in range(10)
    ]
    score = preference_accuracy(model, tokenizer, pairs, batch_size=3)
    margins = [
        (
            answer_logprobs(model, tokenizer, [(p.prompt, p.chosen)])
            - answer_logprobs(model, tokenizer, [(p.prompt, p.rejected)])
        ).item()
        for p in pairs
    ]
    assert score.accuracy == sum(m > 0 for m in margins) / 10
    assert score.mean_margin == pytest.approx(sum(margins) / 10, rel=1e-4)
    swapped = [PreferencePair(prompt=p.prompt, chosen=p.rejected, rejected=p.chosen) for p in pairs]
    assert preference_accuracy(model, tokenizer, swapped).accuracy == pytest.approx(
        1 - score.accuracy
    )


def test_no_pairs_are_refused(chat):
    with pytest.raises(DataError, match="pairs"):
        preference_accuracy(*chat, [])

"""Preference accuracy: how often a model finds the chosen answer likelier than the rejected one."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from llmcore.data import ChatTokens, Message, PreferencePair, chat_example, encode_chat
from llmcore.errors import DataError
from llmcore.losses import sequence_logprobs
from llmcore.models import Decoder
from llmcore.shapes import IGNORE_INDEX
from llmcore.tokenizers import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferenceScore:
    """Agreement of a model with preference pairs."""

    accuracy: float
    """Share of pairs with log p(chosen) > log p(rejected); a tie counts one half."""
    mean_margin: float
    """Mean of log p(chosen) - log p(rejected), in nats."""
    num_pairs: int


@torch.no_grad()
def preference_accuracy(
    model: Decoder, tokenizer: Tokenizer, pairs: Sequence[PreferencePair], *, batch_size: int = 64
) -> PreferenceScore:
    """Compare the summed log-probabilities of both answers of every pair.

    This is a property of the model alone, without a reference; the implicit-reward accuracy of
    DPO would be undefined before training.

    Raises:
        DataError: no pairs.
    """
    if not pairs:
        raise DataError("preference_accuracy: pairs must be at least one, got none")
    chosen = answer_logprobs(
        model, tokenizer, [(p.prompt, p.chosen) for p in pairs], batch_size=batch_size
    )
    rejected = answer_logprobs(
        model, tokenizer, [(p.prompt, p.rejected) for p in pairs], batch_size=batch_size
    )
    margins = chosen - rejected
    wins = (margins > 0).double() + 0.5 * (margins == 0).double()
    return PreferenceScore(
        accuracy=wins.mean().item(), mean_margin=margins.mean().item(), num_pairs=len(pairs)
    )


Turns = Sequence[Message]


@torch.no_grad()
def answer_logprobs(
    model: Decoder,
    tokenizer: Tokenizer,
    chats: Sequence[tuple[Turns, Turns]],
    *,
    batch_size: int = 64,
) -> torch.Tensor:
    """log p(answer | prompt) in nats for every (prompt, answer), closing markers included."""
    examples = [chat_example(_answer_tokens(tokenizer, prompt, answer)) for prompt, answer in chats]
    totals = torch.zeros(len(examples))
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].input_ids))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        longest = len(examples[rows[-1]].input_ids)
        inputs = torch.zeros(len(rows), longest, dtype=torch.int64)
        labels = torch.full((len(rows), longest), IGNORE_INDEX)
        for row, index in enumerate(rows):
            example = examples[index]
            inputs[row, : len(example.input_ids)] = torch.tensor(example.input_ids)
            labels[row, : len(example.labels)] = torch.tensor(example.labels)
        totals[rows] = sequence_logprobs(model(inputs), labels).float()
    return totals


def _answer_tokens(tokenizer: Tokenizer, prompt: Turns, answer: Turns) -> ChatTokens:
    prompt_len = len(encode_chat(tokenizer, prompt, add_generation_prompt=True).ids)
    chat = encode_chat(tokenizer, [*prompt, *answer])
    mask = [trained and i >= prompt_len for i, trained in enumerate(chat.loss_mask)]
    return ChatTokens(ids=chat.ids, loss_mask=mask)

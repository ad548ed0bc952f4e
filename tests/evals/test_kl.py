"""KL between two models on the answers of the first."""

import copy
import math

import pytest
import torch

from llmcore.data import Message, encode_chat
from llmcore.decoding import SamplingParams
from llmcore.errors import DataError
from llmcore.evals.kl import answer_divergence
from llmcore.inference import generate
from llmcore.models import load_pretrained
from llmcore.tokenizers import Tokenizer

PROMPTS = [f"say {i}" for i in range(4)]


@pytest.fixture(scope="module")
def chat(model_dir):
    return load_pretrained(model_dir, dtype=torch.float32), Tokenizer.load(model_dir)


def test_a_model_has_no_divergence_from_itself(chat):
    model, tokenizer = chat
    kl = answer_divergence(model, copy.deepcopy(model), tokenizer, PROMPTS, max_new_tokens=6)
    assert kl.per_token == pytest.approx(0.0, abs=1e-6)
    assert 4 <= kl.num_tokens <= 4 * 7


def test_the_answers_are_the_policy_s_and_every_position_counts(chat):
    """Policy uniform over V, so its KL to any reference needs only the reference's logits."""
    reference, tokenizer = chat
    policy = copy.deepcopy(reference)
    with torch.no_grad():
        policy.final_norm.weight.zero_()
    kl = answer_divergence(policy, reference, tokenizer, PROMPTS, max_new_tokens=5, seed=3)
    assert kl.per_answer == pytest.approx(kl.per_token * kl.num_tokens / len(PROMPTS))
    heads = [_head(tokenizer, prompt) for prompt in PROMPTS]
    stop_id = tokenizer.token_to_id("<|im_end|>")
    params = SamplingParams(temperature=1.0, max_new_tokens=5, stop_ids=(stop_id,))
    tails = generate(policy, heads, params, seeds=[3, 4, 5, 6])
    total = 0.0
    for head, tail in zip(heads, tails, strict=True):
        logits = reference(torch.tensor([head + tail]))[0, len(head) - 1 :].log_softmax(-1)
        uniform = -math.log(policy.config.vocab_size)
        total += (uniform - logits.mean(-1)).sum().item()
    assert kl.per_answer == pytest.approx(total / len(PROMPTS), rel=1e-4)


def _head(tokenizer: Tokenizer, prompt: str) -> list[int]:
    message = Message(role="user", content=prompt)
    return encode_chat(tokenizer, [message], add_generation_prompt=True).ids


def test_no_prompts_are_refused(chat):
    with pytest.raises(DataError, match="prompts"):
        answer_divergence(chat[0], chat[0], chat[1], [])

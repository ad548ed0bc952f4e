"""Generation: cached and batched results are those of the full forward on one prompt."""

import dataclasses
import random
from collections.abc import Iterator

import pytest
import torch

from llmcore.decoding import SamplingParams
from llmcore.errors import ConfigError, ShapeError
from llmcore.inference import generate, stream
from llmcore.models import Decoder, DecoderConfig

CONFIG = DecoderConfig(
    vocab_size=97,
    hidden_size=32,
    intermediate_size=48,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_dim=8,
    max_seq_len=40,
    init_std=0.3,
)
SAMPLED = SamplingParams(temperature=1.0, top_k=30, top_p=0.95, seed=5, max_new_tokens=8)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A model this small only waits for a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model() -> Decoder:
    return Decoder(CONFIG, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def prompts() -> list[list[int]]:
    rng = random.Random(1)
    return [[rng.randrange(97) for _ in range(rng.randrange(1, 20))] for _ in range(7)]


def greedy_without_cache(model: Decoder, prompt: list[int], num_tokens: int) -> list[int]:
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(num_tokens):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


def test_greedy_equals_the_full_forward(model: Decoder, prompts: list[list[int]]) -> None:
    expected = [greedy_without_cache(model, prompt, 8) for prompt in prompts]
    assert generate(model, prompts, SamplingParams(max_new_tokens=8)) == expected


@pytest.mark.parametrize("batch_size", [3, 64])
@pytest.mark.parametrize("params", [SamplingParams(max_new_tokens=8), SAMPLED])
def test_a_prompt_in_company_equals_it_alone(
    model: Decoder, prompts: list[list[int]], batch_size: int, params: SamplingParams
) -> None:
    together = generate(model, prompts, params, batch_size=batch_size)
    assert together == [generate(model, [prompt], params)[0] for prompt in prompts]
    assert together == [list(stream(model, prompt, params)) for prompt in prompts]


def test_rows_that_stop_leave_and_the_others_go_on(
    model: Decoder, prompts: list[list[int]]
) -> None:
    free = SamplingParams(temperature=1.0, seed=3, max_new_tokens=20)
    stop_ids = tuple(range(20))
    stopping = SamplingParams(temperature=1.0, seed=3, max_new_tokens=20, stop_ids=stop_ids)
    expected = []
    for answer in generate(model, prompts, free):
        end = next((idx for idx, token in enumerate(answer) if token < 20), len(answer))
        expected.append(answer[:end])
    got = generate(model, prompts, stopping)
    assert got == expected
    assert len(set(map(len, got))) > 3  # rows really do end at different steps


def test_seeds_per_prompt(model: Decoder) -> None:
    prompt = [5, 6, 7]
    answers = generate(model, [prompt] * 3, SAMPLED, seeds=[5, 6, 5])
    assert answers[0] == answers[2] != answers[1]
    assert answers[0] == generate(model, [prompt], SAMPLED)[0]


def test_the_context_length_ends_a_row(model: Decoder) -> None:
    prompts = [[1] * 39, [2] * 35, *([3] * 2 for _ in range(9))]
    answers = generate(model, prompts, SamplingParams(max_new_tokens=30))
    assert [len(answer) for answer in answers] == [1, 5, *[30] * 9]
    assert answers[1] == greedy_without_cache(model, prompts[1], 5)


def test_on_token_reports_what_is_returned(model: Decoder, prompts: list[list[int]]) -> None:
    seen: list[list[int]] = [[] for _ in prompts]
    answers = generate(
        model, prompts, SAMPLED, batch_size=4, on_token=lambda row, token: seen[row].append(token)
    )
    assert seen == answers


def test_no_prompts(model: Decoder) -> None:
    assert generate(model, [], SAMPLED) == []


def test_bfloat16_model_generates(prompts: list[list[int]]) -> None:
    model = Decoder(CONFIG).to(torch.bfloat16)
    answers = generate(model, prompts, SamplingParams(max_new_tokens=4))
    assert all(len(answer) == 4 for answer in answers)


@pytest.mark.parametrize("prompt", [[], [1] * 40, [97], [-1]])
def test_refused_prompts(model: Decoder, prompt: list[int]) -> None:
    with pytest.raises(ShapeError, match="generate: prompt"):
        generate(model, [[1], prompt], SAMPLED)
    with pytest.raises(ShapeError, match="generate: prompt"):
        stream(model, prompt, SAMPLED)


def test_refused_arguments(model: Decoder) -> None:
    with pytest.raises(ConfigError, match="batch_size must be at least 1, got 0"):
        generate(model, [[1]], SAMPLED, batch_size=0)
    with pytest.raises(ConfigError, match="seeds must be one per prompt = 1, got 2"):
        generate(model, [[1]], SAMPLED, seeds=[1, 2])


PENALISED = SamplingParams(
    temperature=0.9,
    repetition_penalty=1.4,
    frequency_penalty=0.5,
    presence_penalty=0.5,
    logit_bias={3: -100.0, 7: 1.0},
    seed=5,
    max_new_tokens=12,
)


def test_penalties_see_the_rows_own_tokens_in_any_batch(
    model: Decoder, prompts: list[list[int]]
) -> None:
    # Stops at different lengths, so that rows leave the batch and the history follows.
    free = generate(model, prompts, PENALISED)
    stopping = dataclasses.replace(PENALISED, stop_ids=tuple({row[4] for row in free[:4]}))
    together = generate(model, prompts, stopping)
    assert together == [generate(model, [prompt], stopping)[0] for prompt in prompts]
    assert 3 not in {token for row in free for token in row}


def test_a_strong_presence_penalty_never_repeats(model: Decoder) -> None:
    params = SamplingParams(repetition_penalty=1000.0, presence_penalty=2.0, max_new_tokens=20)
    prompt = [5, 6]
    answer = generate(model, [prompt], params)[0]
    assert len(set(answer + prompt)) == len(answer + prompt)

"""The loaded model behind `generate` and `chat`."""

import pytest

from llmcore.cli.speaker import Speaker
from llmcore.data import Message, encode_chat
from llmcore.errors import DataError
from llmcore.inference import generate

SAMPLING = {"temperature": 0.9, "top_k": 20, "top_p": 0.95, "seed": 3, "max_new_tokens": 12}


@pytest.fixture(scope="module")
def speaker(model_dir) -> Speaker:
    return Speaker.load(model_dir, SAMPLING)


def test_a_chat_turn_stops_at_the_end_of_turn_or_of_text(speaker):
    assert set(speaker.params.stop_ids) == {0, 2}


def test_pieces_join_to_what_generate_gives(speaker):
    prompt = speaker.tokenizer.encode("def f")
    [ids] = generate(speaker.model, [[0, *prompt]], speaker.params)
    assert "".join(speaker.complete("def f")) == speaker.tokenizer.decode(ids)


def test_an_answer_continues_the_rendered_chat(speaker):
    message = Message(role="user", content="hi")
    prompt = encode_chat(speaker.tokenizer, [message], add_generation_prompt=True).ids
    [ids] = generate(speaker.model, [prompt], speaker.params)
    assert "".join(speaker.answer([("user", "hi")])) == speaker.tokenizer.decode(ids)


def test_a_chat_longer_than_the_context_is_refused(speaker):
    with pytest.raises(DataError, match="shorter than 96 tokens"):
        speaker.answer([("user", "word " * 200)])

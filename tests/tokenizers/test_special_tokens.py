"""The chat tokens, their order, and that training gives them the first ids."""

from llmcore.tokenizers import CHAT_SPECIAL_TOKENS, END_OF_TEXT, IM_END, IM_START, Tokenizer


def test_the_order_is_the_order_of_ids():
    assert CHAT_SPECIAL_TOKENS == (END_OF_TEXT, IM_START, IM_END)
    trained = Tokenizer.train(["some text"], vocab_size=259, special_tokens=CHAT_SPECIAL_TOKENS)
    assert [trained.token_to_id(token) for token in CHAT_SPECIAL_TOKENS] == [0, 1, 2]

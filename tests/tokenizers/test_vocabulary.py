"""A vocabulary as data: what a byte-level tokenizer is made from."""

from llmcore.tokenizers import AddedToken, Tokenizer, Vocabulary, train_bpe


def test_added_tokens_are_special_and_looked_for_as_they_are() -> None:
    token = AddedToken(id=3, content="<e>")
    assert token.special and not token.normalized


def test_a_tokenizer_from_what_training_gave() -> None:
    vocabulary = train_bpe(["ab ab abc"], vocab_size=260, special_tokens=["<e>"])
    assert isinstance(vocabulary, Vocabulary)
    assert vocabulary.added_tokens == (AddedToken(id=0, content="<e>"),)
    tokenizer = Tokenizer.from_vocabulary(vocabulary)
    assert tokenizer.vocab_size == len(vocabulary.tokens)
    assert tokenizer.decode(tokenizer.encode("ab abc")) == "ab abc"
    assert len(tokenizer.encode("ab")) < 2

"""An unknown key comes with what was probably meant."""

from llmcore.config import unknown_key


def test_the_nearest_key_is_suggested():
    error = unknown_key("C", "optim.peek_lr", ["optim.peak_lr", "train.seed"])
    assert str(error) == "C: unknown key 'optim.peek_lr'; did you mean 'optim.peak_lr'?"


def test_without_a_near_key_all_are_listed():
    assert str(unknown_key("C", "zzz", ["b", "a"])) == "C: unknown key 'zzz'; known keys: a, b"

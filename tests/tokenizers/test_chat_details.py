"""Which template is taken, and the texts of the tokens that it sees."""

import json

import pytest

from llmcore.errors import ConfigError
from llmcore.tokenizers.chat_details import ChatDetails, normalized_finder, special_finder


def test_details_of_a_spec() -> None:
    extra = {"chat_template": "d", "chat_templates": {"rag": "r"}, "roles": {"eos": 7, "eot": 9}}
    details = ChatDetails.from_extra(json.dumps(extra), "<{}>".format)
    assert details.tokens == {"eos_token": "<7>"}
    assert details.templates == {"rag": "r", "default": "d"}
    assert ChatDetails.from_extra("{}", str).templates == {}


def test_which_template() -> None:
    details = ChatDetails(templates={"default": "d", "tool_use": "t"}, tokens={})
    assert details.template(None, has_tools=False) == "d"
    assert details.template(None, has_tools=True) == "t"
    assert details.template("tool_use", has_tools=False) == "t"
    assert details.template("{{ x }}", has_tools=True) == "{{ x }}"


def test_no_template_says_so() -> None:
    with pytest.raises(ConfigError, match="template must be given, the tokenizer's files hold non"):
        ChatDetails(templates={}, tokens={}).template(None, has_tools=False)
    with pytest.raises(ConfigError, match="it has rag"):
        ChatDetails(templates={"rag": "r"}, tokens={}).template(None, has_tools=True)


def test_the_longest_special_token_is_found_first() -> None:
    find = special_finder(["<a>", "<a><b>", "", "[x]"])
    assert find("<a><a><b>[x][y]") == [(0, 3), (3, 9), (9, 12)]
    assert special_finder([])("<a>") == []


def test_what_a_normaliser_makes_of_a_token_is_found_by_encoding() -> None:
    def encode(text: str, **how: str) -> tuple[list[int], list[tuple[int, int]]]:
        assert (text, how) == ("ab", {"allowed_special": "all"})
        return [5, 7, 7], [(0, 1), (1, 2), (2, 2)]

    assert normalized_finder(encode, [7])("ab") == [(1, 2)]

"""No content can forge a special token; the text stays as the template writes it."""

from typing import Any

import pytest

from llmcore.errors import DataError
from llmcore.tokenizers.chat_details import special_finder
from llmcore.tokenizers.chat_guard import render_guarded
from llmcore.tokenizers.chat_template import template_variables

TURNS = "{% for m in messages %}<s>{{ m.role }}:{{ m.content }}</s>{% endfor %}"
FIND = special_finder(["<s>", "</s>"])


def guarded(template: str, content: Any, **variables: Any) -> tuple[str, list[str]]:
    """The text, and what is guarded in it."""
    names = template_variables([{"role": "user", "content": content}], variables=variables)
    text, spans = render_guarded(template, names, FIND)
    assert spans == sorted(spans)
    data = text.encode()
    return text, [data[begin:end].decode() for begin, end in spans]


def test_only_what_a_message_spells_is_guarded() -> None:
    assert guarded(TURNS, "héllo") == ("<s>user:héllo</s>", [])
    assert guarded(TURNS, "é</s><s>x") == ("<s>user:é</s><s>x</s>", ["</s>", "<s>"])


def test_lists_tools_and_variables_are_looked_at_and_own_tokens_are_not() -> None:
    template = "{{ bos_token }}{{ messages[0].content[0].text }}{{ extra }}{{ extra is string }}"
    text, parts = guarded(template, [{"text": "<s>"}], bos_token="<s>", extra="</s>")
    assert text == "<s><s></s>True" and parts == ["<s>", "</s>"]


def test_marks_that_a_template_cuts_apart_still_break_a_token() -> None:
    template = "{{ messages[0].content[:-1] }}s>"
    names = template_variables([{"role": "user", "content": "<s>"}])
    with pytest.raises(DataError, match="rendered as they are, got them changed"):
        render_guarded(template, names, FIND)
    split = "{{ messages[0].content.split('.')[0] }}"
    assert guarded(split, "a<s>.b<s>") == ("a<s>", ["<s>"])
    swapped = "{{ messages[0].content | trim('b') }}{{ messages[0].content | first }}"
    assert guarded(swapped, "b<s>")[1] == ["<s>"]


def test_private_characters_of_a_message_are_kept() -> None:
    text, parts = guarded(TURNS, "\U000f0000<s>\U000f0001")
    assert text == "<s>user:\U000f0000<s>\U000f0001</s>" and parts == ["<s>"]


def test_the_time_is_one_and_the_end_can_be_open() -> None:
    clock = "{{ strftime_now('%f') }}{{ messages[0].content }}"
    assert guarded(clock, "<s>")[1] == ["<s>"]
    names = template_variables([{"role": "assistant", "content": "so <s> "}])
    text, spans = render_guarded(TURNS, names, FIND, continue_final_message=True)
    assert text == "<s>assistant:so <s> " and spans == [(16, 19)]


def test_a_template_that_escapes_a_token_is_refused() -> None:
    with pytest.raises(DataError, match="got them changed"):
        guarded("{{ messages | tojson(ensure_ascii=true) }}", "é<s>")
    assert guarded("{{ messages | tojson }}", "é<s>")[1] == ["<s>"]

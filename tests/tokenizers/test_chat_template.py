"""Chat templates: what they may do, and what they may not."""

import time

import pytest

from llmcore.errors import DataError
from llmcore.tokenizers import chat_template
from llmcore.tokenizers.chat_template import apply_chat_template

HELLO = [{"role": "user", "content": "Hello <b>"}]


def render(template: str, **variables: object) -> str:
    return apply_chat_template(HELLO, template, variables=variables)


def repeated(start: str, step: str, before: str = "") -> str:
    return (
        f"{{% set ns = namespace(x={start}) %}}{{% for i in range(99) %}}{before}"
        f"{{% set ns.x = {step} %}}{{% endfor %}}"
    )


def test_a_conversation() -> None:
    template = (
        "{% for m in messages %}\n"
        "    {% if m.role == 'system' %}\n    {% continue %}\n    {% endif %}\n"
        "{{ bos_token }}<{{ m['role'] }}>{{ m.content | trim }}\n"
        "{% endfor %}\n"
        "{%- if add_generation_prompt %}<assistant>{% endif %}"
    )
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": " Hi "}]
    text = apply_chat_template(messages, template, bos_token="<s>", add_generation_prompt=True)
    assert text == "<s><user>Hi\n<assistant>"


def test_missing_names_and_none_are_undefined() -> None:
    template = "{{ bos_token is defined }} {{ messages[0].content is defined }} {{ documents }}"
    assert apply_chat_template([{"role": "user", "content": None}], template) == "False False None"


def test_json_is_not_escaped_for_html() -> None:
    template = "{{ messages | tojson }}{{ tools | tojson(indent=1) }}"
    tools = [{"name": "é<"}]
    want = '[{"role": "user", "content": "Hello <b>"}][\n {\n  "name": "é<"\n }\n]'
    assert apply_chat_template(HELLO, template, tools=tools) == want


def test_loops_concatenation_and_namespaces_work_as_in_jinja() -> None:
    template = (
        "{% set ns = namespace(text='') %}"
        "{% for x in [1, 2, 3] %}{% set ns.text = ns.text ~ x ~ loop.last ~ loop.length %}"
        "{% endfor %}{{ ns.text }} {{ (1, 'a') }} {{ {'k': [1]} }} {{ 'a' * 3 + 'b' }} {{ 2 ** 5 }}"
    )
    assert render(template) == "1False32False33True3 (1, 'a') {'k': [1]} aaab 32"


def test_the_generation_tag_is_its_body() -> None:
    assert render("a{% generation %}b{{ messages[0].role }}{% endgeneration %}c") == "abuserc"


def test_what_the_template_refuses_is_one_line() -> None:
    with pytest.raises(DataError, match="^chat template: .* got Roles must alternate$"):
        render("{{ raise_exception('Roles must\\nalternate') }}")


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update(role='x') }}",
        "{{ raise_exception.__globals__.x }}",
        "{{ namespace(_x=1) }}",
        "{% include 'other' %}",
        "{{ 1 / 0 }}",
        "{{ range(10 ** 9) }}",
        "{{ nothing.field }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ],
)
def test_errors_of_a_running_template(template: str) -> None:
    with pytest.raises(DataError, match="^chat template: must render these messages, got ") as e:
        print(render(template), "must not render")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "template", ["{% for %}", "{{ x", "{{ x | no_such }}", "(" * 9, "{{" + "(" * 9999]
)
def test_what_is_no_template(template: str) -> None:
    if template == "(" * 9:
        assert render(template) == template
        return
    with pytest.raises(DataError, match="^chat template: must be a Jinja template, got "):
        render(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' * 10 ** 10 }}",
        "{{ [0] * 10 ** 10 }}",
        "{{ 10 ** (10 ** 8) }}",
        "{{ 'a' | center(10 ** 10) }}",
        "{{ 'a'.ljust(10 ** 10) }}",
        "{{ '%99999999999d' % 1 }}",
        "{{ '%*d' % (10 ** 10, 1) }}",
        "{{ '{:99999999999}'.format(1) }}",
        "{{ '{:{}}'.format(1, 10 ** 10) }}",
        "{{ '{:{}}'.format(1, '99999999999') }}",
        "{{ '{:99999999999}' | format(1) }}{{ '%99999999999d' | format(1) }}",
        repeated("'ab'", "ns.x ~ ns.x"),
        repeated("'ab'", "ns.x + ns.x"),
        repeated("[1]", "[ns.x, ns.x]"),
        repeated("[1]", "ns.x + ns.x"),
        repeated("1", "{1: ns.x, 2: ns.x}"),
        repeated("'ab'", "y", "{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}"),
        "{% set x = 'a' * 100000 %}{{ x.replace('a', x) }}",
        "{% set x = 'a' * 100000 %}{{ x | replace('a', x) }}",
        "{% set x = 'a' * 100000 %}{{ x.join(x) }}",
        "{% set x = 'a' * 100000 %}{{ range(10000) | list | join(x) }}",
        "{{ ('\n' * 100000) | indent(100000) }}",
        "{{ ('\t' * 100000).expandtabs(100000) }}",
        "{% set x = 'a' * 1000000 %}{% for i in range(100) %}{{ x }}{% endfor %}",
        "{{ ([[1]] * 100000) | sum(start=[]) }}",
    ],
)
def test_too_large(template: str) -> None:
    start = time.monotonic()
    with pytest.raises(DataError, match="^chat template: must not "):
        render(template)
    assert time.monotonic() - start < 8


@pytest.mark.parametrize(
    "template",
    [
        "{% set r = range(100000) %}{% for i in r %}{% for j in r %}{% endfor %}{% endfor %}",
        "{% set r = range(100000) %}{% for i in r recursive %}"
        "{{ loop(r) if loop.depth < 3 }}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
        "{{ f(60) }}",
    ],
)
def test_too_long(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "MAX_SECONDS", 0.2)
    with pytest.raises(DataError, match="^chat template: must not take more than 0.2 seconds"):
        render(template)


def test_caller_objects_become_plain_data() -> None:
    class Odd:
        def __str__(self) -> str:
            raise AssertionError("ran")

    assert render("{{ odd }} {{ name }}", odd=Odd(), name=type("S", (str,), {})("x")) == "<Odd> x"


def test_messages_are_checked() -> None:
    with pytest.raises(DataError, match="messages must be a list of messages, got an empty one"):
        apply_chat_template([], "x")
    with pytest.raises(DataError, match="variables must be a mapping of names, got int"):
        chat_template._plain_mapping(1, "variables")

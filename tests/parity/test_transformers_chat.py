"""Chat templates: the same strings as `transformers`, on templates in the style of known models."""

import functools
import itertools
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from llmcore.tokenizers.chat_template import apply_chat_template

pytestmark = pytest.mark.parity

TEMPLATES = {
    "chatml": """{% for message in messages %}
    {%- if loop.first and message.role != 'system' %}
<|im_start|>system
You help.<|im_end|>
    {%- endif %}
<|im_start|>{{ message.role }}
{{ message['content'] }}<|im_end|>
{% endfor %}
{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}""",
    "headers": """{{- bos_token }}
{%- set offset = 1 if messages[0]['role'] == 'system' else 0 %}
{%- if offset %}{{- '<|start_header_id|>system<|end_header_id|>\n\n' + messages[0].content | trim }}
{{- '\nToday: ' + (date if date is defined else '26 Jul 2024') + '<|eot_id|>' }}{%- endif %}
{%- if tools is not none %}{% for t in tools %}{{- t | tojson(indent=4) + '\n\n' }}
{% endfor %}{% endif %}
{%- for message in messages[offset:] %}
    {{- '<|start_header_id|>' ~ message.role ~ '<|end_header_id|>\n\n' }}
    {{- (message.content or '') | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}""",
    "instruct": """{%- set ns = namespace(index=0, system='') %}
{%- for message in messages %}
    {%- if message.role == 'system' %}{%- set ns.system = message.content %}{%- continue %}
{%- endif %}
    {%- if (message.role == 'user') != (ns.index % 2 == 0) %}
        {{- raise_exception('Roles must alternate: ' + message.role) }}
    {%- endif %}
    {%- set ns.index = ns.index + 1 %}
    {%- if message.role == 'user' %}
        {%- if loop.last and ns.system %}
            {{- '[INST] ' + ns.system + '\n\n' + message.content + '[/INST]' }}
        {%- else %}
            {{- '[INST] ' + message.content + '[/INST]' }}
        {%- endif %}
    {%- else %}
        {{- ' ' + message.content | trim + eos_token }}
    {%- endif %}
{%- endfor %}""",
    "turns": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}
{{ raise_exception('No system') }}{% endif %}
{% for m in messages %}{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}
{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}
{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}""",
    "thinking": """{%- for m in messages %}
{%- if m.reasoning_content is defined %}<think>{{ m.reasoning_content }}</think>{% endif %}
{%- if m.content is string %}{{ m.content.split('</think>')[-1].lstrip('\n') }}
{%- elif m.content is iterable %}{% for part in m.content if part.type == 'text' %}
{{ part.text }}|{% endfor %}
{%- endif %}{{ m.thinking }}{{ '' if loop.last else '\n' }}
{%- endfor %}{{ enable_thinking }}""",
    "tools": """{%- macro describe(tool) -%}
{{ tool.function.name | upper }}({% for k, v in tool.function.parameters.properties | dictsort %}
{{- k }}: {{ v.type }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}
{%- for t in tools or [] %}{{ loop.index }}/{{ loop.length }} {{ describe(t) }}
{% endfor %}{{ tools | tojson if tools }}
{%- for m in messages %}{% for call in m.tool_calls or [] %}
{{ call | tojson(sort_keys=true) }}{% endfor %}
{%- endfor %}{{ dict(a=1, b=[1, 'é<']) | tojson(ensure_ascii=true) }}""",
    "training": """{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}
{{ m.content }}
{{ eos_token }}{% endgeneration %}{% else %}{{ m.role }}: {{ m.content }}{% endif %}{% endfor %}""",
    "blocks": """{% set text %}{% for m in messages | selectattr('role', 'equalto', 'user') %}
{{ m.content | replace('a', 'b') | title }}{% if loop.index > 1 %}{% break %}{% endif %}{% endfor %}
{% endset %}{{ text | length }}{{ text }}{% filter upper %}done {{ messages | length }}
{% endfilter %}""",
    "reversed": """{% for m in messages | reverse %}{{ loop.revindex }}
 {{ (loop.previtem or {}).role }}
{{- loop.cycle(' odd', ' even') }} {{ m.items() | list }}
{% endfor %}{{ messages[::-1] | map(attribute='role') | join(', ') }}
 {{ [1, (2, 'x'), {'k': none}] }}""",
    "numbers": """{{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 10 }} {{ 1.5 * 2 }} {{ 'ab' * 2 }}
 {{ [1] * 2 + [3] }}
{{ '%s-%05d' % (messages[0].role, 42) }} {{ '{:>8}|{}'.format('x', 1) }} {{ 3.14159 | round(2) }}
{{ range(3) | list }} {{ namespace(x=1).x }} {{ now is undefined }} {{ "a" ~ 1 ~ none ~ true }}""",
    "recursive": """{% for item in tree recursive %}({{ item.name }}{{ loop.depth }}
{%- if item.children %}{{ loop(item.children) }}{% endif %}){% endfor %}""",
    "whitespace": """  {# note #}
  {% if true %}
    kept
  {% endif %}
\ttab {%- raw %} {{ raw }} {% endraw -%}  end
""",
}

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find",
            "description": "Find <things> & more",
            "parameters": {
                "type": "object",
                "properties": {"what": {"type": "string"}, "n": {"type": "integer"}},
            },
        },
    }
]

CONVERSATIONS: list[list[dict[str, Any]]] = [
    [{"role": "user", "content": "Hello <there> 'a' \"b\" 日本語 😀"}],
    [
        {"role": "system", "content": " Be kind. "},
        {"role": "user", "content": "Hi\n"},
        {"role": "assistant", "content": "  Yes?  ", "reasoning": "hm"},
        {"role": "user", "content": "A banana", "name": None},
    ],
    [
        {"role": "user", "content": "one"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"name": "find", "arguments": {"n": 1}}],
        },
        {"role": "tool", "content": [{"type": "text", "text": "two"}, {"type": "image"}]},
    ],
    [{"role": "user", "content": "a"}, {"role": "user", "content": "{{ 1 }}"}],
]

VARIABLES: list[dict[str, Any]] = [
    {},
    {
        "date": "today",
        "enable_thinking": False,
        "tree": [{"name": "r", "children": [{"name": "x"}, {"name": "y", "children": []}]}],
    },
]


@functools.cache
def their_tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(BPE()), bos_token="<s>", eos_token="</s>"
    )


def theirs(template: str, messages: list[dict[str, Any]], **options: Any) -> str | None:
    """None where the template refuses or fails."""
    try:
        return str(
            their_tokenizer().apply_chat_template(
                messages, chat_template=template, tokenize=False, **options
            )
        )
    except Exception:
        return None


def ours(template: str, messages: list[dict[str, Any]], **options: Any) -> str | None:
    try:
        return apply_chat_template(messages, template, bos_token="<s>", eos_token="</s>", **options)
    except ValueError:
        return None


@pytest.mark.parametrize("name", TEMPLATES)
def test_same_strings_as_transformers(name: str) -> None:
    num_rendered = 0
    for messages, tools, prompt, variables in itertools.product(
        CONVERSATIONS, (None, [], TOOLS), (False, True), VARIABLES
    ):
        options = {"tools": tools, "add_generation_prompt": prompt}
        want = theirs(TEMPLATES[name], messages, **options, **variables)
        assert ours(TEMPLATES[name], messages, **options, variables=variables) == want
        num_rendered += want is not None
    assert num_rendered >= 12

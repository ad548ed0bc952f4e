"""Chat templates: a conversation as one text, by a Jinja template that nobody has to trust."""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from types import CodeType
from typing import Any

import jinja2
import numpy as np
from jinja2 import Template, TemplateError, nodes, pass_context, pass_eval_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers.template_limits import Limits, TooMuchError

MAX_TEMPLATE_CHARS = 1 << 20
MAX_CHARS = 1 << 25
"""Characters and items of the rendered text, and of every value on the way to it."""
MAX_SECONDS = 10.0
MAX_FORMAT_CHARS = 1000

_REASONING_NAMES = ("reasoning_content", "thinking", "reasoning")


def apply_chat_template(
    messages: Sequence[Mapping[str, Any]],
    template: str,
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = False,
    continue_final_message: bool | str = False,
    bos_token: str | None = None,
    eos_token: str | None = None,
    variables: Mapping[str, Any] | None = None,
) -> str:
    """The text of a conversation, as `transformers` would write it with the same template.

    The template runs in Jinja's immutable sandbox. Its output and every value that it builds are
    bounded in size, and the whole in time.

    Args:
        messages: Mappings such as `{"role": "user", "content": "Hello"}`. Entries that are None
            count as missing.
        template: Jinja source.
        tools: JSON schemas of the functions that the model may call.
        add_generation_prompt: Ask the template for the start of the assistant's answer.
        continue_final_message: End with the last message's content, for the model to go on from;
            a name takes that entry of the message instead of "content".
        bos_token: Text of the token; undefined in the template if None.
        eos_token: So too.
        variables: More names for the template; they win over `bos_token` and `eos_token`.

    Raises:
        DataError: the messages are malformed, or the template is, or it refuses these messages,
            or it takes too much time or space.
        ConfigError: `continue_final_message` with `add_generation_prompt`.
    """
    tokens = {"bos_token": bos_token, "eos_token": eos_token}
    names = template_variables(
        messages,
        tools=tools,
        add_generation_prompt=add_generation_prompt,
        variables={k: v for k, v in tokens.items() if v is not None} | dict(variables or {}),
    )
    return render_template(template, names, continue_final_message=continue_final_message)


def template_variables(
    messages: Sequence[Mapping[str, Any]],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = False,
    variables: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a template sees, checked and made of plain data; arguments as `apply_chat_template`'s.

    Raises:
        DataError: the messages, the tools or the variables are malformed.
    """
    return {
        "documents": None,
        **_plain_mapping(variables or {}, "variables"),
        "messages": _plain_messages(messages),
        "tools": _plain_tools(tools),
        "add_generation_prompt": add_generation_prompt,
    }


def render_template(
    template: str,
    variables: Mapping[str, Any],
    *,
    continue_final_message: bool | str = False,
    now: datetime | None = None,
) -> str:
    """Render `template` with what `template_variables` gave, at the time `now`.

    Raises:
        DataError: the template is malformed, or refuses, or takes too much time or space.
        ConfigError: `continue_final_message` with `add_generation_prompt`.
    """
    if tuple(map(int, jinja2.__version__.split(".")[:3])) < (3, 1, 6):
        # Earlier sandboxes have known holes.
        raise ConfigError(f"chat template: jinja2 must be at least 3.1.6, got {jinja2.__version__}")
    now = datetime.now() if now is None else now
    if not continue_final_message:
        return "".join(_render(template, dict(variables), now))
    if variables["add_generation_prompt"]:
        raise ConfigError(
            "chat template: continue_final_message must be without add_generation_prompt, got both"
        )
    field = continue_final_message if isinstance(continue_final_message, str) else "content"
    return _render_open(template, dict(variables), field, now)


def absent_chars(count: int, *values: Any) -> list[str]:
    """Private-use characters that occur in none of the values, strings within lists and mappings
    included."""
    seen: set[str] = set()
    stack = list(values)
    while stack:
        match stack.pop():
            case str(text):
                seen.update(text)
            case list() | tuple() as items:
                stack.extend(items)
            case dict() as table:
                stack.extend(table.keys())
                stack.extend(table.values())
    free = (c for c in map(chr, range(0xF0000, 0x110000)) if c not in seen)
    return [next(free) for _ in range(count)]


def _render(template: str, variables: dict[str, Any], now: datetime) -> Iterator[str]:
    limits = Limits(MAX_CHARS, MAX_SECONDS)
    code = _compile(template)
    try:
        environment = _Environment(limits, now)
        compiled = Template.from_code(environment, code, environment.make_globals(None))
        size = 0
        for piece in compiled.generate(variables):
            size += len(piece)
            limits.check_size(size)
            yield piece
    except TooMuchError as error:
        raise DataError(f"chat template: must not {error}") from None
    except Exception as error:  # a template can raise anything
        raise DataError(f"chat template: must render these messages, got {_line(error)}") from None


def _render_open(template: str, variables: dict[str, Any], field: str, now: datetime) -> str:
    """The text up to the end of entry `field` of the last message, found by a tag set there.

    Source: transformers 5.23, utils/chat_template_utils.py, for the same strings.
    """
    *before, last = variables["messages"]
    (mark,) = absent_chars(1, template, variables)
    tag = mark + " "  # the space tells whether the template trims
    fields = [field]
    if field in _REASONING_NAMES:
        fields = [name for name in _REASONING_NAMES if last.get(name) == last.get(field)]
    open_message, final = _with_tag(last, fields, field, tag)
    if not any(name in template for name in fields):
        raise DataError(f"chat template: must use {field!r} to continue it, got no such name in it")
    names = {**variables, "messages": [*before, open_message]}
    text = "".join(_render(template, names, now))
    at = text.rfind(mark)
    if at < 0 or final.strip() not in text:
        raise DataError("chat template: must keep the final message to continue it, got it changed")
    head = text[:at]
    return head if text.startswith(tag, at) else head.rstrip()


def _with_tag(
    message: dict[str, Any], fields: Sequence[str], field: str, tag: str
) -> tuple[dict[str, Any], str]:
    """The message with the tag at the end of the text to continue, and that text."""
    match message.get(field):
        case str(text):
            return {**message, **{name: message[name] + tag for name in fields}}, text
        case list() | tuple() as parts:
            for i in reversed(range(len(parts))):
                if isinstance(parts[i], dict) and isinstance(parts[i].get("text"), str):
                    text = parts[i]["text"]
                    tagged = [*parts[:i], {**parts[i], "text": text + tag}, *parts[i + 1 :]]
                    return {**message, field: tagged}, text
    raise DataError(f"chat template: the final message must have a text in {field!r} to continue")


@functools.lru_cache(maxsize=64)
def _compile(template: str) -> CodeType:
    if len(template) > MAX_TEMPLATE_CHARS:
        raise DataError(
            f"chat template: must have at most {MAX_TEMPLATE_CHARS} characters, got {len(template)}"
        )
    try:
        return _Environment(Limits(MAX_CHARS, MAX_SECONDS), datetime.min).compile(template)
    except Exception as error:
        raise DataError(f"chat template: must be a Jinja template, got {_line(error)}") from None


def _line(error: Exception) -> str:
    """`error` in one short line."""
    text = " ".join(str(error).split())[:500]
    if isinstance(error, TemplateError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


# What the template may see: plain data, so that no object of the caller's runs code for it.


def _plain(value: Any) -> Any:
    if value is None or type(value) in (str, int, float, bool):
        return value
    match value:
        case str():
            return str.__str__(value)
        case int():
            return int.__int__(value)
        case float():
            return float.__float__(value)
        case Mapping():
            return {_plain(k): _plain(v) for k, v in value.items()}
        case list():
            return [_plain(item) for item in value]
        case tuple():
            return tuple(_plain(item) for item in value)
        case np.generic():
            return _plain(value.item())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return f"<{type(value).__name__}>"


def _plain_mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(k, str) for k in value):
        raise DataError(f"chat template: {what} must be a mapping of names, got {_type(value)}")
    try:
        plain: dict[str, Any] = _plain(value)
    except RecursionError:
        raise DataError(f"chat template: {what} must not be nested so deeply") from None
    return plain


def _plain_messages(messages: Any) -> list[dict[str, Any]]:
    if isinstance(messages, str) or not isinstance(messages, Sequence) or not messages:
        got = "an empty one" if isinstance(messages, Sequence) else _type(messages)
        raise DataError(f"chat template: messages must be a list of messages, got {got}")
    plain = []
    for index, message in enumerate(messages):
        values = _plain_mapping(message, f"messages[{index}]")
        values = {name: value for name, value in values.items() if value is not None}
        reasoning = next((values[n] for n in _REASONING_NAMES if n in values), None)
        if reasoning is not None:
            values = {"thinking": reasoning, **values, "reasoning_content": reasoning}
        plain.append(values)
    return plain


def _plain_tools(tools: Any) -> list[dict[str, Any]] | None:
    if tools is None:
        return None
    if isinstance(tools, str) or not isinstance(tools, Sequence):
        raise DataError(f"chat template: tools must be a list of schemas, got {_type(tools)}")
    return [_plain_mapping(tool, f"tools[{index}]") for index, tool in enumerate(tools)]


def _type(value: Any) -> str:
    return type(value).__name__


class _Hooks(NodeTransformer):
    """Sends through filters what the sandbox has no hook for: loops, `~` and literals."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _through("llmcore_count", node.iter)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        items = nodes.List(node.nodes, lineno=node.lineno)
        return _through("llmcore_join", items)

    def visit_List(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        return _through("llmcore_check", node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return _through("llmcore_check", node) if node.ctx == "load" else node

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        return _through("llmcore_check", node)


def _through(name: str, node: Any) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class _Generator(CodeGenerator):
    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:
        super().visit_Template(_Hooks().visit(node), frame)


# Jinja as chat templates expect it. Source: transformers 5.23, utils/chat_template_utils.py.


class _GenerationTag(Extension):
    """`{% generation %}...{% endgeneration %}` marks what the model wrote; the text is its body."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(lineno)

    @pass_eval_context
    def _body(self, context: nodes.EvalContext, caller: Macro) -> str:
        return str(caller())


class _TemplateNamespace(Namespace):
    def __init__(*args: Any, **kwargs: Any) -> None:  # noqa: B902 - a name may be "self"
        self, values = args[0], dict(*args[1:], **kwargs)
        for name in values:
            _check_name(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)

    def __repr__(self) -> str:
        return "<Namespace>"  # what it holds may hold it


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"namespace attributes must not start with an underscore, got {name!r}")


class _TemplateDict:
    """`dict` with nothing but what templates call."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


class _Environment(ImmutableSandboxedEnvironment):
    """One per rendering: it carries the limits."""

    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "%", "**"])
    code_generator_class = _Generator

    def __init__(self, limits: Limits, now: datetime) -> None:
        @pass_context
        def finalize(context: Context, value: Any) -> Any:
            return limits.checked(value)

        def strftime_now(format: str) -> str:
            return now.strftime(format[:MAX_FORMAT_CHARS])

        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            # Nothing is worked out while compiling, where no limit holds.
            optimized=False,
            finalize=finalize,
            extensions=[_GenerationTag, "jinja2.ext.loopcontrols"],
        )
        self._limits = limits
        self.concat = limits.join  # type: ignore[method-assign]
        self.filters["tojson"] = _to_json
        self.filters = {name: _limited(limits, name, f) for name, f in self.filters.items()}
        self.filters["llmcore_count"] = limits.count
        self.filters["llmcore_join"] = limits.join_values
        self.filters["llmcore_check"] = limits.checked
        del self.globals["lipsum"]
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = strftime_now
        self.globals["dict"] = _TemplateDict()
        self.globals["namespace"] = _TemplateNamespace

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        self._limits.check_operands(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: B902
        limits = __self._limits
        limits.check_time()
        # The sandbox wraps str.format and str.format_map.
        method = getattr(__obj, "__wrapped__", __obj)
        subject = getattr(method, "__self__", None)
        if isinstance(__obj, LoopContext):
            args = (limits.count(args[0]), *args[1:])
        elif isinstance(subject, str | bytes):
            limits.check_arguments(method.__name__, subject, args, kwargs)
        return limits.checked(super().call(__context, __obj, *args, **kwargs))


def _limited(limits: Limits, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter within the limits; its marks for Jinja stay."""
    first = 1 if getattr(function, "jinja_pass_arg", None) is not None else 0

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with suppress(IndexError):  # no subject: the filter says so itself
            limits.check_arguments(name, args[first], args[first + 1 :], kwargs)
        return limits.checked(function(*args, **kwargs))

    return run

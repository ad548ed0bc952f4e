"""What lies beside a tokenizer: chat templates, roles of tokens; damaged files."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmcore.errors import DataError
from llmcore.tokenizers.chat_files import with_chat_details

IDS = {"<s>": 1, "</s>": 2, "[PAD]": 3}


def details(folder: Path, extra: str = "{}") -> Any:
    found = with_chat_details(extra, folder, IDS)
    return None if found is None else json.loads(found)


def write(folder: Path, **files: Any) -> None:
    for name, value in files.items():
        path = folder / name.replace("__", "/")
        path = path.with_name(
            {"config": "tokenizer_config.json", "map": "special_tokens_map.json"}.get(
                path.name, path.name + ".jinja"
            )
        )
        path.parent.mkdir(exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def test_nothing_beside_adds_nothing(tmp_path: Path) -> None:
    assert details(tmp_path) is None
    write(tmp_path, config={"model_max_length": 7}, map={})
    assert details(tmp_path) is None


def test_roles_as_texts_and_objects(tmp_path: Path) -> None:
    write(
        tmp_path,
        config={"bos_token": {"content": "<s>", "lstrip": False}, "eos_token": None},
        map={"pad_token": "[PAD]", "unk_token": "[absent]", "bos_token": "</s>"},
    )
    assert details(tmp_path) == {"roles": {"bos": 1, "pad": 3}}
    assert details(tmp_path, '{"roles": {"bos": 9, "eot": 4}}')["roles"] == {
        "bos": 9,
        "pad": 3,
        "eot": 4,
    }


def test_templates_by_name_and_the_files_win(tmp_path: Path) -> None:
    named = [{"name": "default", "template": "a"}, {"name": "rag", "template": "b"}]
    write(tmp_path, config={"chat_template": named})
    known = '{"chat_template": "old", "source": "x"}'
    want = {"chat_template": "a", "chat_templates": {"rag": "b"}, "source": "x"}
    assert details(tmp_path, known) == want
    write(tmp_path, chat_template="é{{ x }}", additional_chat_templates__tool_use="t")
    found = details(tmp_path)
    assert found["chat_template"] == "é{{ x }}"
    assert found["chat_templates"] == {"rag": "b", "tool_use": "t"}
    write(tmp_path, config={"chat_template": "only"})
    (tmp_path / "chat_template.jinja").unlink()
    assert details(tmp_path)["chat_template"] == "only"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "tokenizer_config.json: must be JSON"),
        ("[" * 100_000, "tokenizer_config.json: must be JSON"),
        ("[]", "tokenizer_config.json: must be a JSON object, got list"),
        ('{"chat_template": 7}', "must be a text or a list of templates, got int"),
        ('{"chat_template": [{"name": 1}]}', "must be a list of names and templates"),
    ],
)
def test_damage_is_named(config: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, config=config)
    with pytest.raises(DataError, match="tokenizer_config.json: ") as caught:
        details(tmp_path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_template_that_is_no_text_or_too_long(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"chat_template.jinja: must be UTF-8"):
        details(tmp_path)
    (tmp_path / "chat_template.jinja").write_bytes(b"x" * (1 << 22) + b"x")
    with pytest.raises(DataError, match=r"chat_template.jinja: must have at most 4194304 bytes"):
        details(tmp_path)

"""`tokenizer.json`: round trip, and a one-line error for every damaged or foreign file."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmcore.errors import DataError, LLMCoreError
from llmcore.tokenizers import Tokenizer

TEXT = "the cat sat on the mat, the dog's naïve 日本語 text\n" * 10


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([TEXT], vocab_size=290, special_tokens=["<|endoftext|>", "<é x>"])


@pytest.fixture
def data(tokenizer: Tokenizer, tmp_path: Path) -> dict[str, Any]:
    return json.loads(tokenizer.save(tmp_path).read_text(encoding="utf-8"))


def load_changed(data: dict[str, Any], folder: Path) -> Tokenizer:
    path = folder / "changed.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return Tokenizer.load(path)


def test_round_trip(tokenizer: Tokenizer, tmp_path: Path) -> None:
    file = tokenizer.save(tmp_path / "new" / "folder")
    assert file == tmp_path / "new" / "folder" / "tokenizer.json"
    assert os.listdir(file.parent) == ["tokenizer.json"]
    for path in (file, file.parent, str(file)):
        again = Tokenizer.load(path)
        assert again.encode(TEXT) == tokenizer.encode(TEXT)
        assert again.special_tokens == tokenizer.special_tokens
        assert again.decode(range(290)) == tokenizer.decode(range(290))
    second = Tokenizer.load(file).save(tmp_path / "second.json")
    assert second.read_bytes() == file.read_bytes()


def test_special_tokens_survive(tokenizer: Tokenizer, tmp_path: Path) -> None:
    again = Tokenizer.load(tokenizer.save(tmp_path))
    assert again.encode("a<é x>", allowed_special="all") == [tokenizer.encode("a")[0], 1]
    assert again.id_to_bytes(1) == "<é x>".encode()


def test_save_keeps_the_old_file_on_failure(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match="cannot write"):
        tokenizer.save(tmp_path / "file" / "tokenizer.json")
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"3",
        b"\xff\xfe garbage",
        b'"text"',
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"model": NaN}',
        b'{"version": "1.0", "version": "1.0"}',
    ],
    ids=range(12),
)
def test_not_a_tokenizer_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        Tokenizer.load(path)
    assert "\n" not in str(error.value)
    assert "tokenizer.json" in str(error.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        Tokenizer.load(tmp_path / "tokenizer.json")
    with pytest.raises(DataError, match="must hold one of tokenizer.json, .*, got none"):
        Tokenizer.load(tmp_path)


def test_every_truncation_is_a_data_error(tokenizer: Tokenizer, tmp_path: Path) -> None:
    whole = tokenizer.save(tmp_path / "whole.json").read_bytes()
    path = tmp_path / "cut.json"
    for size in range(0, len(whole) - 1, 97):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError):
            Tokenizer.load(path)


def test_flipped_bytes_never_end_in_anything_but_a_library_error(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    whole = tokenizer.save(tmp_path / "whole.json").read_bytes()
    path = tmp_path / "flipped.json"
    rng = random.Random(0)
    num_errors = 0
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            Tokenizer.load(path)
        except LLMCoreError as error:
            num_errors += 1
            assert "\n" not in str(error)
    assert num_errors > 100


def set_field(*keys: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        at: Any = data
        for key in keys[:-1]:
            at = at[key]
        at[keys[-1]] = value

    return change


WRONG = [
    (set_field("decoder", value={"type": "Metaspace"}), "decoder.replacement: must be a string"),
    (set_field("decoder", value={"type": "Rot13"}), "decoder"),
    (set_field("normalizer", value={"type": "Rot13"}), "normalizer"),
    (set_field("pre_tokenizer", value={"type": "Rot13"}), "pre_tokenizer"),
    (set_field("post_processor", value={"type": "TemplateProcessing"}), "post_processor.pair"),
    (set_field("model", "type", value="Rot13"), "model"),
    (set_field("model", "type", value="WordPiece"), "model.unk_token: must be a string, got null"),
    (set_field("model", value=None), "model: must be an object, got null"),
    (set_field("model", "vocab", value=[]), "model.vocab: must be an object, got a list"),
    (set_field("model", "vocab", "the", value=3), "must be one token per id"),
    (set_field("model", "vocab", "new", value=2**31), "must be an integer from 0 to"),
    (set_field("model", "vocab", "new", value=-1), "must be an integer from 0 to"),
    (set_field("model", "vocab", "new", value="5"), 'must be an integer from 0 to 67863, got "5"'),
    (set_field("model", "vocab", "new", value=True), "got true"),
    (set_field("model", "vocab", "new", value=1.0), "got 1.0"),
    (set_field("model", "merges", value=None), "model.merges: must be a list, got null"),
    (set_field("model", "merges", 0, value="t nowhere"), 'got "t" and "nowhere"'),
    (set_field("model", "merges", 3, value="t h e"), "merge 3: must be two tokens"),
    (set_field("model", "merges", 3, value=7), "merge 3: must be two tokens, got 7"),
    (set_field("added_tokens", value={}), "added_tokens: must be a list, got an object"),
    (set_field("added_tokens", 0, value={"id": 0}), "content: must be a string, got null"),
    (set_field("surprise", value=1), 'got a member "surprise"'),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_named(
    data: dict[str, Any], tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    change(data)
    with pytest.raises(DataError) as error:
        load_changed(data, tmp_path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_lone_surrogate_in_the_vocabulary(data: dict[str, Any], tmp_path: Path) -> None:
    data["model"]["vocab"]["\ud800"] = 290
    with pytest.raises(DataError, match="half of a surrogate pair"):
        load_changed(data, tmp_path)


def test_merges_as_strings_mean_the_same(data: dict[str, Any], tmp_path: Path) -> None:
    want = load_changed(data, tmp_path).encode(TEXT)
    data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
    assert load_changed(data, tmp_path).encode(TEXT) == want


def test_old_files_may_lack_optional_fields(data: dict[str, Any], tmp_path: Path) -> None:
    want = load_changed(data, tmp_path).encode(TEXT)
    for field in ("byte_fallback", "ignore_merges", "fuse_unk", "unk_token", "type", "dropout"):
        del data["model"][field]
    data["post_processor"] = None
    del data["pre_tokenizer"]["use_regex"]
    assert load_changed(data, tmp_path).encode(TEXT) == want


def test_flags_are_kept(data: dict[str, Any], tmp_path: Path) -> None:
    data["added_tokens"][1]["special"] = False
    data["added_tokens"][1]["normalized"] = True
    data["model"]["ignore_merges"] = True
    loaded = load_changed(data, tmp_path)
    assert loaded.special_tokens == {"<|endoftext|>": 0}
    assert loaded.encode("<é x>") == [1]
    again = json.loads(loaded.save(tmp_path / "again.json").read_bytes())
    assert again["model"]["ignore_merges"] is True
    assert [token["normalized"] for token in again["added_tokens"]] == [False, True]


def test_an_error_of_a_component_names_the_file(data: dict[str, Any], tmp_path: Path) -> None:
    data["decoder"] = {"type": "Metaspace"}
    with pytest.raises(DataError, match=r"changed\.json: decoder\.replacement: must be"):
        load_changed(data, tmp_path)

"""Tokenizer files of a model directory, read back by us and by transformers."""

import json
from pathlib import Path

import pytest

from llmcore.data import Message, render_chat
from llmcore.errors import ConfigError
from llmcore.models import Decoder, DecoderConfig, load_stop_ids, save_pretrained
from llmcore.models.tokenizer_files import special_ids, tokenizer_fields
from llmcore.tokenizers import Tokenizer

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEXT = "How many legs has a spider? Eight; naïve ☃ counts differ.\n"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([TEXT * 4], vocab_size=270, special_tokens=SPECIALS)


def model(vocab_size: int = 280) -> Decoder:
    return Decoder(
        DecoderConfig(
            vocab_size=vocab_size,
            hidden_size=16,
            intermediate_size=24,
            num_layers=1,
            num_heads=2,
            num_kv_heads=1,
            head_dim=8,
            max_seq_len=64,
        )
    )


def test_special_ids(tokenizer: Tokenizer) -> None:
    assert special_ids(tokenizer, chat=False) == {
        "bos_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 0,
    }
    assert special_ids(tokenizer, chat=True)["eos_token_id"] == [2, 0]


def test_a_tokenizer_without_specials_names_none() -> None:
    plain = Tokenizer.train([TEXT], vocab_size=260)
    assert special_ids(plain, chat=False) == {"eos_token_id": None}
    assert "eos_token" not in tokenizer_fields(plain, max_seq_len=8, chat=False)


def test_saved_directory_holds_the_tokenizer(tmp_path: Path, tokenizer: Tokenizer) -> None:
    save_pretrained(model(), tmp_path, tokenizer=tokenizer, chat=True)
    assert Tokenizer.load(tmp_path).encode(TEXT) == tokenizer.encode(TEXT)
    assert load_stop_ids(tmp_path) == (2, 0)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["model_max_length"] == 64


def test_too_small_a_model_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError, match=r"at most vocab_size = 100 ids, got 270"):
        save_pretrained(model(100), tmp_path / "model", tokenizer=tokenizer)
    assert not (tmp_path / "model").exists()


@pytest.mark.parity
@pytest.mark.parametrize("chat", [False, True])
def test_transformers_reads_it(tmp_path: Path, tokenizer: Tokenizer, chat: bool) -> None:
    transformers = pytest.importorskip("transformers")
    save_pretrained(model(), tmp_path, tokenizer=tokenizer, chat=chat)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs(TEXT)["input_ids"] == tokenizer.encode(TEXT)
    assert theirs.decode(tokenizer.encode(TEXT)) == TEXT
    assert theirs.pad_token_id == 0
    assert theirs.eos_token == ("<|im_end|>" if chat else "<|endoftext|>")
    if not chat:
        return
    turns = [{"role": "user", "content": "Hi\n there"}, {"role": "assistant", "content": "Yes?"}]
    for prompt in (False, True):
        expected = render_chat([Message(**turn) for turn in turns], add_generation_prompt=prompt)
        got = theirs.apply_chat_template(turns, tokenize=False, add_generation_prompt=prompt)
        assert got == expected.text
    end_ids = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).generation_config
    assert end_ids.eos_token_id == [2, 0]

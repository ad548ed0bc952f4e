"""Spans of added tokens that take white space equal those of the `tokenizers` package."""

import json
import random
from typing import Any

import pytest
import tokenizers as hf
from tokenizers import pre_tokenizers as hfp

from llmcore import _bindings
from llmcore.tokenizers import Tokenizer

pytestmark = pytest.mark.parity

ALPHABET = sorted(hfp.ByteLevel.alphabet())
CONTENTS = ["<mask>", "<Ab>", "x", "é", " in "]
UNITS = [
    *("<mask>", "<mask>", "<Ab>", "<ab>", "x", "y", "é", " in ", "a", "日", "."),
    *(" ", " ", "  ", "\n", "\t", "\xa0", "\u3000", "\u2003 ", "\x85", "\u200b"),
]
NORMALIZERS: list[dict[str, Any] | None] = [None, {"type": "Lowercase"}, {"type": "NFKC"}]
FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


def tokenizer_json(
    added: list[dict[str, Any]],
    processor: dict[str, Any],
    normalizer: dict[str, Any] | None = None,
    *,
    prefix_space: bool = False,
) -> str:
    """A byte-level BPE whose tokens are single bytes, and added tokens."""
    vocab = {token: id for id, token in enumerate(["<s>", "</s>", *ALPHABET])}
    flags = {"add_prefix_space": prefix_space, "trim_offsets": True, "use_regex": True}
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": len(vocab) + i, **t} for i, t in enumerate(added)],
            "normalizer": normalizer,
            "pre_tokenizer": {"type": "ByteLevel", **flags},
            "post_processor": processor,
            "decoder": {"type": "ByteLevel", **flags},
            "model": {"type": "BPE", "vocab": vocab, "merges": []},
        }
    )


def added_token(content: str, **flags: bool) -> dict[str, Any]:
    return {"content": content, **dict.fromkeys(FLAGS, False), **flags}


def byte_level(*, trim: bool, prefix_space: bool) -> dict[str, Any]:
    flags = {"add_prefix_space": prefix_space, "trim_offsets": trim}
    return {"type": "ByteLevel", **flags, "use_regex": True}


def roberta(*, trim: bool, prefix_space: bool) -> dict[str, Any]:
    flags = {"add_prefix_space": prefix_space, "trim_offsets": trim}
    return {"type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0], **flags}


def check(file: str, texts: list[str], *, add_special_tokens: bool = False) -> None:
    theirs = hf.Tokenizer.from_str(file)
    ours = Tokenizer(_bindings.read_tokenizer(file.encode(), "tokenizer.json"))
    for text in texts:
        encoding = theirs.encode(text, add_special_tokens=add_special_tokens)
        ids, spans = ours.encode_with_offsets(
            text, add_special_tokens=add_special_tokens, allowed_special="all"
        )
        assert ids == encoding.ids, (file, text)
        assert spans == encoding.offsets, (file, text)


def test_white_space_that_a_token_takes_is_trimmed() -> None:
    """RoBERTa's <mask> takes the space before it, and its span does not keep it."""
    mask = [added_token("<mask>", lstrip=True, rstrip=True, special=True)]
    for make in (byte_level, roberta):
        file = tokenizer_json(mask, make(trim=True, prefix_space=False))
        ours = Tokenizer(_bindings.read_tokenizer(file.encode(), "tokenizer.json"))
        text = "a \t<mask>\u3000\n b"
        _, spans = ours.encode_with_offsets(text, allowed_special="all")
        assert spans[1] == (3, 9)
        check(
            file, [text, "  <mask> ", "<mask>", " <mask><mask> a <mask>", "日\u3000<mask>\u3000日"]
        )
        file = tokenizer_json(mask, make(trim=False, prefix_space=False))
        check(file, [text, " <mask> "])


@pytest.mark.parametrize("seed", range(4))
def test_random_added_tokens(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(60):
        contents = dice.sample(CONTENTS, dice.randint(1, 3))
        added = [added_token(c, **{flag: dice.random() < 0.5 for flag in FLAGS}) for c in contents]
        prefix_space = dice.random() < 0.5
        make = dice.choice([byte_level, roberta])
        file = tokenizer_json(
            added,
            make(trim=dice.random() < 0.8, prefix_space=dice.random() < 0.5),
            dice.choice(NORMALIZERS),
            prefix_space=prefix_space,
        )
        texts = ["".join(dice.choices(UNITS, k=dice.randint(1, 12))) for _ in range(20)]
        check(file, texts, add_special_tokens=dice.random() < 0.5)

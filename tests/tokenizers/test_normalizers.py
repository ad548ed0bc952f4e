"""Normalizers: what each does, spans, refusals, and time on hostile texts."""

import base64
import json
import random
import struct
import time
import unicodedata

import pytest

from llmcore import _bindings
from llmcore.errors import DataError


def make(component: object) -> _bindings.Normalizer:
    return _bindings.Normalizer.from_json(json.dumps(component))


def of_type(kind: str, **fields: object) -> _bindings.Normalizer:
    return make({"type": kind, **fields})


def normalize(component: object, text: str) -> str:
    return make(component).apply(text)[0].decode()


BERT = {
    "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
    "strip_accents": None, "lowercase": True,
}  # fmt: skip


def charsmap(trie: list[int], pool: bytes, size: int | None = None) -> str:
    size = 4 * len(trie) if size is None else size
    return base64.b64encode(struct.pack(f"<I{len(trie)}I", size, *trie) + pool).decode()


@pytest.mark.parametrize(
    ("component", "text", "expected"),
    [
        (None, "A\u0301", "A\u0301"),
        ({"type": "NFC"}, "A\u0301", "\u00c1"),
        ({"type": "NFD"}, "\ud55c\u00c1", "\u1112\u1161\u11abA\u0301"),
        ({"type": "NFKC"}, "\ufb01\uff21\u0301", "fi\u00c1"),
        ({"type": "NFKD"}, "\u00bd", "1\u20442"),
        ({"type": "Nmt"}, "a\x01\tb\u200bc\ufeff", "a b c "),
        ({"type": "Lowercase"}, "\u0130\u03a3A\x00", "i\u0307\u03c3a\x00"),
        ({"type": "StripAccents"}, "e\u0301\u20dd", "e"),
        ({"type": "Strip", "strip_left": True, "strip_right": True}, "\u3000 a \n", "a"),
        ({"type": "Strip", "strip_left": False, "strip_right": True}, " \u3000", ""),
        ({"type": "Prepend", "prepend": "\u2581"}, "", ""),
        ({"type": "Prepend", "prepend": "\u2581"}, "a", "\u2581a"),
        ({"type": "ByteLevel"}, "\u00e9 a", "\u00c3\u00a9\u0120a"),
        (BERT, "\u00c9t\u00e9\x00\u4e2d\tx", "ete \u4e2d  x"),
        ({**BERT, "strip_accents": False}, "\u00c9", "\u00e9"),
        ({**BERT, "lowercase": False, "clean_text": False}, "\u00c9\x01", "\u00c9\x01"),
        ({"type": "Replace", "pattern": {"String": "aab"}, "content": "x"}, "aaabaab", "axx"),
        ({"type": "Replace", "pattern": {"String": ""}, "content": "-"}, "a\u00e9", "-a-\u00e9-"),
        ({"type": "SentencePiece"}, " a  b ", "\u2581a\u2581b"),
        ({"type": "SentencePiece", "add_dummy_prefix": False}, "a b", "a\u2581b"),
    ],
)
def test_results(component: object, text: str, expected: str) -> None:
    assert normalize(component, text) == expected


def test_spans() -> None:
    decomposed, origins = of_type("NFD").apply("\u00e9x", True)
    assert decomposed == b"e\xcc\x81x"
    assert origins.tolist() == [0, 2, 0, 2, 0, 2, 2, 3]
    padded, origins = make(BERT).apply("a\u4e2d", True)
    assert padded == b"a \xe4\xb8\xad "
    assert origins.tolist() == [0, 1] + [1, 4] * 5
    assert of_type("NFC").apply("abc")[1].size == 0


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_forms_agree_with_unicodedata(form: str) -> None:
    """Characters of Unicode 9.0 alone: normal forms of these never change."""
    pool = [chr(c) for c in (*range(0x20, 0x600), *range(0x1100, 0x1200), *range(0x1E00, 0x2000))]
    pool += ["\uac00", "\ud7a3", "\u3099", "\u304b", "\ufdfa", "\ufb01", "\u212b", "\u0f73"]
    pool += [chr(c) for c in range(0x300, 0x346)] * 4
    rng, ours = random.Random(1), of_type(form)
    for _ in range(3000):
        text = "".join(rng.choices(pool, k=rng.randrange(1, 30)))
        assert ours.apply(text)[0].decode() == unicodedata.normalize(form, text), ascii(text)


@pytest.mark.parametrize(
    ("component", "message"),
    [
        ({"type": "NFX"}, 'normalizer.type: must be a known normalizer, got "NFX"'),
        ({}, "normalizer.type: must be"),
        ([], "normalizer.type: must be"),
        ({"type": "Strip", "strip_left": True}, "normalizer.strip_right: must be"),
        ({"type": "Prepend", "prepend": 3}, "normalizer.prepend: must be"),
        ({"type": "Replace", "pattern": "a", "content": "b"}, "normalizer.pattern.String: must"),
        ({"type": "Sequence"}, "normalizer.normalizers: must be"),
        ({"type": "Sequence", "normalizers": [None]}, "normalizer.normalizers[0]: must be"),
        (
            {"type": "Sequence", "normalizers": [{"type": 1}]},
            "normalizer.normalizers[0].type: must",
        ),
        ({**BERT, "strip_accents": "yes"}, "normalizer.strip_accents: must be"),
        ({"type": "Precompiled"}, "normalizer.precompiled_charsmap: must be"),
        ({"type": "Precompiled", "precompiled_charsmap": "???"}, "must be base64"),
        ({"type": "Precompiled", "precompiled_charsmap": "=AAA"}, "must be base64"),
        ({"type": "Precompiled", "precompiled_charsmap": charsmap([0], b"", 99)}, "and its size"),
        ({"type": "Precompiled", "precompiled_charsmap": charsmap([0], b"\xff")}, "must be UTF-8"),
        ({"type": "SentencePiece", "user_defined_symbols": [1]}, "user_defined_symbols: must be"),
    ],
)
def test_refusals(component: object, message: str) -> None:
    with pytest.raises(DataError) as error:
        make(component)
    assert message in str(error.value)


def test_growth_is_bounded() -> None:
    doubling = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 90}
    with pytest.raises(DataError, match="64 times"):
        make({"type": "Sequence", "normalizers": [doubling] * 40}).apply("a" * 1000)
    every = {"type": "Replace", "pattern": {"String": ""}, "content": "a" * 1000}
    with pytest.raises(DataError, match="64 times"):
        make(every).apply("a" * 100000)


def test_hostile_charsmaps() -> None:
    """Random tries, with cycles and places outside of themselves, neither crash nor hang."""
    rng = random.Random(2)
    text = ("a" * 50 + "\u00e9\u65e5\U0001f600\x00") * 20
    for kind in ("Precompiled", "SentencePiece"):
        for size in (1, 2, 16, 300):
            for _ in range(40):
                trie = [rng.getrandbits(32) for _ in range(size)]
                of_type(kind, precompiled_charsmap=charsmap(trie, b"x\0yy")).apply(text, True)
        # Every unit is the child "a" of itself.
        loop = [ord("a") | 1 << 10 for _ in range(256)]
        component = of_type(kind, precompiled_charsmap=charsmap(loop, b"x\0"))
        assert component.apply("a" * 100000)[0].endswith(b"a")


SLOW_TEXTS = {
    "one letter": "a",
    "one mark": "\u0301",
    "marks in falling order": "\u0345\u0301\u0323\u0334",
    "jamo": "\u1161",
    "joiners": "\u200d",
    "spaces": " ",
    "ligatures": "\ufdfa",
    "pattern's prefix": "ab",
}


@pytest.mark.parametrize("unit", SLOW_TEXTS.values(), ids=SLOW_TEXTS.keys())
def test_long_runs(unit: str) -> None:
    """A million characters take a second at most; what is quadratic would take hours."""
    text = unit * (1_000_000 // len(unit))
    empty = charsmap([0], b"x")
    components: list[object] = [
        *({"type": form} for form in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Nmt")),
        BERT,
        {"type": "Strip", "strip_left": True, "strip_right": True},
        {"type": "Replace", "pattern": {"String": "ab" * 5000 + "c"}, "content": ""},
        {"type": "Precompiled", "precompiled_charsmap": empty},
        {"type": "SentencePiece", "precompiled_charsmap": empty},
    ]
    for component in components:
        normalizer = make(component)
        start = time.process_time()
        normalizer.apply(text)
        assert time.process_time() - start < 5, component


@pytest.mark.parametrize("kind", ["NFC", "NFKD", "Lowercase", "Nmt", "StripAccents"])
def test_ill_formed_bytes_pass(kind: str) -> None:
    rng, normalizer = random.Random(4), of_type(kind)
    for _ in range(500):
        parts = [rng.choice([b"\xff", b"\xc3x", b"\xe3\x81x", b"x\x80"]) for _ in range(8)]
        raw = b"".join(parts)
        out, origins = normalizer.apply(raw, True)
        assert out == raw
        assert origins.size == 2 * len(raw)
    assert of_type("NFC").apply(b"\xffe\xcc\x81\xff")[0] == b"\xff\xc3\xa9\xff"
    assert make(BERT).apply(b"\xc3\x89\xff\xcc\x81A")[0] == b"e\xffa"
    assert of_type("SentencePiece").apply(b"\xff")[0] == "\u2581\ufffd".encode()

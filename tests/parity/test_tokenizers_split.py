"""Pre-tokenizers, scanners and the regex engine against the `tokenizers` package."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers as hf
from tokenizers import pre_tokenizers as hfp

from llmcore._bindings import PreTokenizer, Regex, known_pattern_text, split_known
from tests.support.code_points import code_points

pytestmark = pytest.mark.parity

SURROGATES = range(0xD800, 0xE000)
CODE_POINTS = code_points()
DEEPSEEK_DIGITS = r"\p{N}{1,3}"
DEEPSEEK_CJK = "[一-龥぀-ゟ゠-ヿ]+"
UNITS = [
    *("a", "b", "s", "S", "t", "ll", "LL", "'", "'s", "'ll", "'RE", "A", "Bc", "É", "é", "ﬀ", "ß"),
    *(" ", " ", "  ", "\n", "\r", "\t", "\x0b", "\x85", "\xa0", "\u2028", "\u3000", "\u200b"),
    *("1", "23", "٣", "½", "²", "Ⅷ", "!", "/", "\\", "_", "-", "\x01", "\x7f", "°", "€", "😀"),
    *("日", "本", "か", "カ", "゛", "ー", "、", "ǅ", "ʰ", "\u0301", "ſ", "K", "ا", "\u0651", "한"),
    *("▁", "\U000e0001", "\u0378", "\U0001e900", "क", "\u093f", "\ufffd", "\u200d"),
]


def random_text(rng: random.Random, most: int = 60) -> str:
    units = UNITS if rng.random() < 0.6 else rng.sample(UNITS, 6)
    return "".join(rng.choices(units, k=rng.randrange(most)))


def all_code_points(frame: str) -> list[str]:
    """Texts in which every code point stands where the @ is."""
    texts = []
    for start in range(0, len(CODE_POINTS), 1024):
        chars = map(chr, CODE_POINTS[start : start + 1024])
        texts.append("".join(frame.replace("@", c) for c in chars))
    return texts


def their_splitter(component: dict[str, Any]) -> Any:
    spec = {
        **dict.fromkeys(["truncation", "padding", "normalizer", "post_processor", "decoder"]),
        **{"version": "1.0", "added_tokens": [], "pre_tokenizer": component},
        "model": {"type": "BPE", "vocab": {}, "merges": []},
    }
    return hf.Tokenizer.from_str(json.dumps(spec)).pre_tokenizer


def char_index(text: str) -> Callable[[int], int]:
    """Character offset of a byte offset."""
    starts: dict[int, int] = {}
    at = 0
    for i, c in enumerate(text):
        starts[at] = i
        at += len(c.encode())
    starts[at] = len(text)
    return starts.__getitem__


def our_pieces(ours: PreTokenizer, text: str) -> list[tuple[str, tuple[int, int]]]:
    rewritten, bounds, origins = ours.split(text)
    index = char_index(text)
    result = []
    for (a, b), (c, d) in zip(
        bounds.reshape(-1, 2).tolist(), origins.reshape(-1, 2).tolist(), strict=True
    ):
        result.append((rewritten[a:b].decode(), (index(c), index(d))))
    return result


BYTE_CHARS = {}


def byte_chars() -> dict[str, int]:
    if not BYTE_CHARS:
        printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        others = [b for b in range(256) if b not in printable]
        BYTE_CHARS.update({chr(b): b for b in printable})
        BYTE_CHARS.update({chr(256 + i): b for i, b in enumerate(others)})
    return BYTE_CHARS


def assert_same_pieces(component: dict[str, Any], texts: list[str]) -> None:
    ours, theirs = PreTokenizer.from_json(json.dumps(component)), their_splitter(component)
    maps_bytes = "ByteLevel" in json.dumps(component)
    for text in texts:
        want = theirs.pre_tokenize_str(text)
        if maps_bytes:
            # Theirs come as the printable stand-ins of bytes.
            table = byte_chars()
            want = [(bytes(table[c] for c in piece).decode(), span) for piece, span in want]
        assert our_pieces(ours, text) == want, (component, text)


def split(pattern: str, behavior: str = "Isolated", *, invert: bool = False) -> dict[str, Any]:
    return {
        **{"type": "Split", "pattern": {"Regex": pattern}},
        **{"behavior": behavior, "invert": invert},
    }


BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def byte_level(*, prefix: bool, regex: bool) -> dict[str, Any]:
    return {
        **{"type": "ByteLevel", "add_prefix_space": prefix},
        **{"trim_offsets": True, "use_regex": regex},
    }


BYTE_LEVEL = byte_level(prefix=False, regex=False)
DEEPSEEK = {
    "type": "Sequence",
    "pretokenizers": [
        split(DEEPSEEK_DIGITS),
        split(DEEPSEEK_CJK),
        split(known_pattern_text("deepseek-v3")),
        BYTE_LEVEL,
    ],
}
COMPONENTS: list[dict[str, Any]] = [
    {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
    byte_level(prefix=True, regex=True),
    byte_level(prefix=True, regex=False),
    *(split(known_pattern_text(name)) for name in ("gpt2", "llama3", "qwen2", "o200k_base")),
    split(known_pattern_text("llama3"), "Removed", invert=True),
    split(known_pattern_text("cl100k_base")),
    split(known_pattern_text("o200k_base"), "Contiguous"),
    DEEPSEEK,
    *(split(r"\s+", behavior) for behavior in BEHAVIORS),
    *(split(r"\w+", behavior, invert=True) for behavior in BEHAVIORS),
    *(
        {**split("", behavior), "pattern": {"String": s}}
        for behavior in BEHAVIORS
        for s in (" ", "ll", "a", "  ", "日本")
    ),
    {**split("", "Isolated"), "pattern": {"String": ""}},
    split(r"(?=[A-Z])"),
    split(r"\d*", "MergedWithNext"),
    {"type": "Whitespace"},
    {"type": "WhitespaceSplit"},
    {"type": "Punctuation"},
    *({"type": "Punctuation", "behavior": behavior} for behavior in BEHAVIORS),
    {"type": "Digits", "individual_digits": True},
    {"type": "Digits", "individual_digits": False},
    {"type": "CharDelimiterSplit", "delimiter": "a"},
    {"type": "CharDelimiterSplit", "delimiter": "▁"},
    {"type": "BertPreTokenizer"},
    *(
        {"type": "Metaspace", "replacement": r, "prepend_scheme": scheme, "split": splits}
        for r in ("▁", "_")
        for scheme in ("always", "first", "never")
        for splits in (True, False)
    ),
    {"type": "UnicodeScripts"},
    {"type": "FixedLength", "length": 3},
    {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Digits", "individual_digits": True},
            byte_level(prefix=True, regex=True),
        ],
    },
    {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"},
            {"type": "Punctuation"},
        ],
    },
    {"type": "Sequence", "pretokenizers": [{"type": "UnicodeScripts"}, {"type": "Whitespace"}]},
]


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: c["type"])
def test_pieces_and_offsets_on_random_text(component: dict[str, Any]) -> None:
    rng = random.Random(1)
    texts = ["", " ", "a", *(random_text(rng) for _ in range(300)), random_text(rng, 3000)]
    assert_same_pieces(component, texts)


def our_spans(name: str, text: str) -> list[str]:
    data = text.encode()
    bounds = split_known(name, text).reshape(-1, 2).tolist()
    return [data[a:b].decode() for a, b in bounds]


@pytest.mark.parametrize("name", ["gpt2", "llama3", "qwen2", "o200k_base", "deepseek-v3"])
@pytest.mark.parametrize("frame", ["a@'s1 @!@\n", "A@b\u0301'@", "@@ @日!@/@"])
def test_scanners_on_every_code_point(name: str, frame: str) -> None:
    if name == "deepseek-v3":
        theirs = hfp.Sequence([their_splitter(c) for c in DEEPSEEK["pretokenizers"][:3]])
    else:
        theirs = their_splitter(split(known_pattern_text(name)))
    for text in all_code_points(frame):
        assert our_spans(name, text) == [piece for piece, _ in theirs.pre_tokenize_str(text)]


def test_tiktoken_keeps_white_space_at_the_end() -> None:
    """cl100k as tiktoken has it, against the `regex` module."""
    regex = pytest.importorskip("regex")
    theirs = regex.compile(known_pattern_text("cl100k_base"), regex.V1)
    rng = random.Random(2)
    for _ in range(2000):
        text = random_text(rng)
        assert our_spans("cl100k_base", text) == theirs.findall(text)


@pytest.mark.parametrize(
    "component",
    [
        *({"type": kind} for kind in ("Whitespace", "BertPreTokenizer", "Punctuation")),
        *({"type": kind} for kind in ("WhitespaceSplit", "UnicodeScripts")),
        {"type": "Digits", "individual_digits": True},
    ],
    ids=lambda c: c["type"],
)
def test_character_splitters_on_every_code_point(component: dict[str, Any]) -> None:
    assert_same_pieces(component, all_code_points("a@д"))


CLASSES = [
    *(r"\s", r"\d", r"\w", r"\h", ".", r"\p{Lu}", r"\p{L}", r"\p{M}", r"\p{^P}", r"\P{S}"),
    *(r"\p{Han}", r"\p{Hiragana}", r"\p{Latin}", r"[^\s\p{L}]"),
    *("[[:digit:]]", r"[\p{L}&&[^\p{Han}]]", "[^a-z]", r"[\r\n/]", "(?i:k)", "(?i:[^s])", r"\p{Z}"),
    *(rf"\p{{{category}}}" for category in ("Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl")),
    *(rf"\p{{{category}}}" for category in ("No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm")),
    *(rf"\p{{{category}}}" for category in ("Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co")),
    r"\p{Cn}",
]


@pytest.mark.parametrize("pattern", CLASSES)
def test_classes_over_all_code_points(pattern: str) -> None:
    theirs, ours = their_splitter(split(pattern, "Removed", invert=True)), Regex(pattern)
    for start in range(0, len(CODE_POINTS), 32768):
        text = "".join(map(chr, CODE_POINTS[start : start + 32768]))
        data = text.encode()
        got = [data[a:b].decode() for a, b in ours.find_all(text).reshape(-1, 2).tolist()]
        assert got == [piece for piece, _ in theirs.pre_tokenize_str(text)]


def test_case_folding_of_single_characters() -> None:
    """(?i:x) matches what it matches there, for each x with a case."""
    cased = [c for c in CODE_POINTS if chr(c).lower() != chr(c) or chr(c).upper() != chr(c)]
    text = "".join(map(chr, cased))
    data = text.encode()
    for code_point in random.Random(3).sample(cased, 150):
        pattern = f"(?i:{chr(code_point)})"
        theirs = their_splitter(split(pattern, "Removed", invert=True))
        got = [data[a:b].decode() for a, b in Regex(pattern).find_all(text).reshape(-1, 2).tolist()]
        assert got == [p for p, _ in theirs.pre_tokenize_str(text) if len(p) == 1]


def random_pattern(rng: random.Random, depth: int = 0) -> str:
    atoms = [
        *(
            "a",
            "b",
            "c",
            "[ab]",
            "[^a]",
            ".",
            r"\s",
            r"\S",
            r"\w",
            r"\p{L}",
            r"\p{N}",
            " ",
            "日",
            "1",
        ),
        *(
            r"[^\r\n\p{L}\p{N}]",
            r"(?!\S)",
            r"(?=a)",
            r"(?<=b)",
            r"(?<!a)",
            "^",
            "$",
            r"\b",
            "(?i:A)",
        ),
    ]
    repeats = ["", "", "", "*", "+", "?", "*?", "+?", "??", "{1,3}", "{2}", "{2,}"]
    parts = []
    for _ in range(rng.randrange(1, 4)):
        if depth < 2 and rng.random() < 0.3:
            atom = f"(?:{random_pattern(rng, depth + 1)})"
        else:
            atom = rng.choice(atoms)
        looks = atom.startswith(("(?!", "(?=", "(?<", "^", "$", r"\b"))
        # Their engine treats loops over what may be empty in its own ways.
        plain = looks or atom.startswith("(?:")
        repeat = "" if plain else rng.choice([*repeats, "++", "*+", "?+"])
        parts.append(atom + repeat)
    pattern = "".join(parts)
    return pattern if rng.random() < 0.6 else f"{pattern}|{random_pattern(rng, depth + 1)}"


def test_random_patterns_match_as_theirs() -> None:
    rng = random.Random(4)
    alphabet = ["a", "b", "c", "A", " ", "  ", "\n", "1", "日", "é", "!"]
    for _ in range(600):
        pattern = random_pattern(rng)
        component = split(pattern, rng.choice(BEHAVIORS), invert=rng.random() < 0.5)
        assert_same_pieces(
            component, ["".join(rng.choices(alphabet, k=rng.randrange(16))) for _ in range(20)]
        )


@pytest.mark.parametrize("table", ["category", "casefold", "script"])
def test_generators_write_the_committed_tables(table: str, repo_root: Path) -> None:
    folder = repo_root / "csrc" / "tokenizer" / "split"
    if sys.version_info >= (3, 15):
        pytest.skip("this Python's Unicode is newer than the tables'")
    written = subprocess.run(
        [sys.executable, folder / f"generate_{table}_tables.py"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert written == (folder / f"{table}_tables.h").read_text()

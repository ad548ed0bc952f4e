"""The texts that the tokenizer benchmarks read, the same on every run of one installation."""

import json
import os
import random
import string
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

REPO_ROOT = Path(__file__).resolve().parents[2]
FIXTURES = Path(os.environ.get("LLMCORE_FIXTURES", REPO_ROOT.parent / "shared" / "fixtures"))
MODELS = FIXTURES / "tokenizers" / "models"
CORPORA = FIXTURES / "corpora"

ENGLISH_BYTES, JAPANESE_BYTES = 50_000_000, 10_000_000
SLOW_PART = 3_000_000
"""Slow packages encode this much; their time is scaled up."""


def english_and_code(least: int) -> Iterator[str]:
    """English of the fixtures, then text files of the standard library and of the packages.

    No text comes twice; those with `<|` are left out, since some packages always take it for a
    special token.
    """
    seen: set[int] = set()
    size = 0
    for path in _files():
        data = path.read_bytes()
        if not 0 < len(data) < 2_000_000 or b"<|" in data or b"\0" in data or hash(data) in seen:
            continue
        seen.add(hash(data))
        text = data.decode("utf-8", errors="ignore")
        yield text
        size += len(text.encode())
        if size >= least:
            return


def _files() -> Iterator[Path]:
    for name in ("botchan.txt", "gsm8k_test.jsonl", "hhh_evaluations.jsonl", "dpo_en_demo.json"):
        if (CORPORA / name).is_file():
            yield CORPORA / name
    for root in (sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["purelib"]):
        for path in sorted(Path(root).rglob("*")):
            is_text = path.suffix in {".py", ".pyi", ".txt", ".md", ".rst", ".h"}
            # The packages of a plain installation lie in the library's folder.
            is_inside = "site-packages" in path.relative_to(root).parts
            if is_text and not is_inside and path.is_file():
                yield path


def japanese(least: int) -> Iterator[str]:
    """Slices of the novel, all different; nothing where the fixtures are absent."""
    path = CORPORA / "wagahaiwa_nekodearu.txt"
    if not path.is_file():
        return
    novel, rng, size = path.read_text("utf-8"), random.Random(0), 0
    while size < least:
        begin = rng.randrange(len(novel) - 40_000)
        text = novel[begin : begin + rng.randrange(10_000, 40_000)]
        yield text
        size += len(text.encode())


def write_corpora(folder: Path, scale: float) -> None:
    """`english.json` and `japanese.json` in `folder`: lists of texts, for the other processes."""
    sizes = {"english": ENGLISH_BYTES, "japanese": JAPANESE_BYTES}
    for name, make in (("english", english_and_code), ("japanese", japanese)):
        texts = list(make(int(sizes[name] * scale)))
        (folder / f"{name}.json").write_text(json.dumps(texts), encoding="utf-8")


def read_corpus(folder: Path, name: str) -> list[str]:
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def num_bytes(texts: Iterable[str]) -> int:
    return sum(len(text.encode()) for text in texts)


def first_part(texts: list[str], size: int) -> list[str]:
    """Texts from all over the corpus, `size` bytes or a little more."""
    part: list[str] = []
    for text in random.Random(1).sample(texts, len(texts)):
        if size <= 0:
            break
        part.append(text)
        size -= len(text.encode())
    return part


BASE64 = string.ascii_letters + string.digits + "+/"
SPELLINGS = {
    "a": "a",
    "^": "^",
    "space": " ",
    "newline": "\n",
    "digit": "7",
    "ideograph": "語",
    "emoji": "\N{GRINNING FACE}",
    "combining": "\N{COMBINING ACUTE ACCENT}",
    "a^": "a^",
}
RANDOM = {
    "base64": BASE64,
    "letters": string.ascii_lowercase,
    "symbols": string.punctuation,
    "kana": "".join(map(chr, range(0x3041, 0x3097))),
}
HOSTILE = (*SPELLINGS, *RANDOM, "bytes")


def hostile(name: str, size: int, seed: int = 0) -> str | bytes:
    """`size` bytes of one adversarial pattern: one thing over and over, or no word boundary."""
    rng = random.Random(seed)
    if name == "bytes":
        return rng.randbytes(size)
    if name in SPELLINGS:
        return SPELLINGS[name] * (size // len(SPELLINGS[name].encode()))
    alphabet = RANDOM[name]
    return "".join(rng.choices(alphabet, k=size // len(alphabet[0].encode())))

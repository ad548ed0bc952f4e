"""Unigram training against `sentencepiece`: likelihood, characters, rules, and its own reading."""

import io
import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tokenizers as hf

from llmcore._bindings import Normalizer, TokenizerSpec, WordCounter, write_tokenizer
from llmcore.tokenizers import Tokenizer
from llmcore.tokenizers.unigram_training import (
    SPACE_MARK,
    sentencepiece_normalizer,
    train_unigram,
)

spm = pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")

pytestmark = pytest.mark.parity

Lines = tuple[list[str], list[str]]


def train_theirs(lines: list[str], vocab_size: int, **options: Any) -> Any:
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=vocab_size,
        model_type="unigram",
        minloglevel=2,
        max_sentence_length=1 << 20,
        num_threads=2,
        **options,
    )
    return spm.SentencePieceProcessor(model_proto=model.getvalue())


def train_ours(lines: list[str], vocab_size: int, **options: Any) -> TokenizerSpec:
    symbols = options.get("user_defined_symbols", ())
    normalizer = Normalizer.from_json(sentencepiece_normalizer(user_defined_symbols=symbols))
    counts: Counter[bytes] = Counter()
    mark = SPACE_MARK.encode()
    for line in lines:
        words = bytes(normalizer.apply(line)[0]).split(mark)
        counts.update(mark + word for word in words if word)
    counter = WordCounter(1)
    for word, count in counts.items():
        counter.add(word, count)
    return train_unigram(counter, vocab_size=vocab_size, num_threads=2, **options)


def load_theirs(spec: TokenizerSpec) -> Any:
    return spm.SentencePieceProcessor(model_proto=write_tokenizer(spec, "sentencepiece"))


def bytes_per_log(processor: Any, lines: list[str]) -> float:
    """Log-likelihood per byte of the best segmentations; unknowns cost what they do in theirs."""
    scores = [processor.get_score(i) for i in range(processor.get_piece_size())]
    scores[processor.unk_id()] = min(scores) - 10
    total = sum(scores[i] for ids in processor.encode(lines) for i in ids)
    return total / sum(len(line.encode()) for line in lines)


@pytest.fixture(scope="module", params=["english", "japanese"])
def lines(request: pytest.FixtureRequest, fixtures_dir: Path) -> Lines:
    """Text to train on and text held out."""
    folder = fixtures_dir / "corpora"
    if request.param == "english":
        text = (folder / "botchan.txt").read_text("utf-8")
        with (folder / "gsm8k_test.jsonl").open(encoding="utf-8") as stream:
            text += "\n".join(json.loads(line)["question"] for line in stream)
    else:
        text = (folder / "wagahaiwa_nekodearu.txt").read_text("utf-8")
    found = [line for line in text.split("\n") if line.strip()]
    random.Random(0).shuffle(found)
    cut = len(found) * 9 // 10
    return found[:cut], found[cut:]


def test_held_out_likelihood_is_no_worse(lines: Lines) -> None:
    trained, held_out = lines
    theirs = bytes_per_log(train_theirs(trained, 4500), held_out)
    ours = bytes_per_log(load_theirs(train_ours(trained, 4500)), held_out)
    assert ours > theirs * 1.001  # both are negative


def test_their_library_reads_the_model(lines: Lines) -> None:
    trained, held_out = lines
    symbols = {"user_defined_symbols": ["<sep>", "ing"], "control_symbols": ["<cls>"]}
    spec = train_ours(trained, 4500, byte_fallback=True, **symbols)
    tokenizer, theirs = Tokenizer(spec), load_theirs(spec)
    texts = [*held_out, "a<sep>b ☃ <cls> ＡＢＣ　\u0301\U0001f600", "".join(held_out)[:20000]]
    for text in texts:
        assert tokenizer.encode(text) == theirs.encode(text)


def test_hugging_face_reads_the_tokenizer_json(lines: Lines, tmp_path: Path) -> None:
    trained, held_out = lines
    tokenizer = Tokenizer(train_ours(trained, 4500))
    path = tokenizer.save(tmp_path / "tokenizer.json", format="tokenizer.json")
    theirs = hf.Tokenizer.from_file(str(path))
    same = sum(tokenizer.encode(text) == theirs.encode(text).ids for text in held_out)
    assert same >= 0.99 * len(held_out)  # they add path scores in float64, so ties differ


def test_same_characters(lines: Lines) -> None:
    trained, _ = lines
    for coverage in (0.98, 0.9995, 1.0):
        theirs = train_theirs(trained, 5000, character_coverage=coverage, hard_vocab_limit=False)
        ours = load_theirs(
            train_ours(trained, 5000, character_coverage=coverage, hard_vocab_limit=False)
        )
        assert characters(ours) == characters(theirs)


def characters(processor: Any) -> set[str]:
    pieces = {processor.id_to_piece(i) for i in range(processor.get_piece_size())}
    return {piece for piece in pieces if len(piece) == 1}


@pytest.mark.parametrize(
    "options",
    [
        {"split_by_unicode_script": False},
        {"split_by_number": False},
        {"split_digits": True},
        {"max_sentencepiece_length": 3},
        {"treat_whitespace_as_suffix": True},
        {"split_by_whitespace": False},
    ],
    ids=lambda options: next(iter(options)),
)
def test_pieces_have_the_shapes_of_theirs(lines: Lines, options: dict[str, Any]) -> None:
    """Shapes: spaces, digits, ASCII letters, kana or Han, others; runs as one."""
    trained = lines[0][:3000]
    theirs = train_theirs(trained, 4000, hard_vocab_limit=False, **options)
    normalizer = Normalizer.from_json(
        sentencepiece_normalizer(
            treat_whitespace_as_suffix=options.get("treat_whitespace_as_suffix", False)
        )
    )
    counter = WordCounter(1)
    for line in trained:
        counter.add(bytes(normalizer.apply(line)[0]), 1)
    ours = load_theirs(train_unigram(counter, vocab_size=4000, hard_vocab_limit=False, **options))
    frequent = {shape for shape, count in shapes(theirs).items() if count > 5}
    assert frequent <= shapes(ours).keys()
    assert {shape for shape, count in shapes(ours).items() if count > 5} <= shapes(theirs).keys()


def shapes(processor: Any) -> Counter[str]:
    found: Counter[str] = Counter()
    for i in range(3, processor.get_piece_size()):
        piece = processor.id_to_piece(i)
        for pattern, letter in (
            (SPACE_MARK, "_"),
            ("[0-9]+", "0"),
            ("[A-Za-z]+", "a"),
            ("[\u3041-\u30ff\u3400-\u9fff々]+", "漢"),
            (r"[^_0a漢]+", "."),
        ):
            piece = re.sub(pattern, letter, piece)
        found[piece] += 1
    return found


@pytest.mark.parametrize("name", ["nmt_nfkc", "nfkc"])
def test_normalisation_rules(name: str) -> None:
    theirs = spm.SentencePieceNormalizer(rule_name=name)
    ours = Normalizer.from_json(sentencepiece_normalizer(name))
    differing = []
    for c in range(1, 0x110000):
        if 0xD800 <= c < 0xE000:
            continue
        text = f"a{chr(c)}a"
        if bytes(ours.apply(text)[0]).decode() != theirs.normalize(text):
            differing.append(c)
    # Theirs knows characters of a later Unicode.
    assert all(hf.normalizers.NFKC().normalize_str(chr(c)) == chr(c) for c in differing)
    assert len(differing) < 400

"""WordPiece training against Hugging Face `tokenizers`: the same tokens under the same ids."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tokenizers as hf

from llmcore._bindings import WordCounter
from llmcore.data.python_corpus import python_documents
from llmcore.tokenizers.wordpiece_training import train_wordpiece

pytestmark = pytest.mark.parity

SPECIALS = ["[PAD]", "[UNK]"]


def train_theirs(words: dict[str, int], trainer: Any) -> list[str]:
    """Tokens by id."""
    is_bpe = isinstance(trainer, hf.trainers.BpeTrainer)
    theirs = hf.Tokenizer(hf.models.BPE() if is_bpe else hf.models.WordPiece(unk_token="[UNK]"))
    theirs.pre_tokenizer = hf.pre_tokenizers.Split("\n", "removed")
    theirs.train_from_iterator(("\n".join([word] * n) for word, n in words.items()), trainer)
    vocab = theirs.get_vocab()
    return sorted(vocab, key=vocab.__getitem__)


def train_ours(words: dict[str, int], theirs: list[str], **options: Any) -> list[str]:
    """Tokens by id; those inside words in the order that their run has drawn."""
    counter = WordCounter(1)
    for word, count in words.items():
        counter.add(word.encode(), count)
    order = [token[2:] for token in theirs if token.startswith("##") and len(token) == 3]
    spec = train_wordpiece(counter, special_tokens=SPECIALS, continuing_order=order, **options)
    tokens: list[str] = spec.to_dict()["tokens"]
    return tokens


def check(words: dict[str, int], **options: Any) -> None:
    given = {k: set(v) if k == "initial_alphabet" else v for k, v in options.items()}
    common = {"special_tokens": SPECIALS, "show_progress": False}
    if "max_token_length" in options:  # theirs has it in its BPE trainer alone
        trainer = hf.trainers.BpeTrainer(continuing_subword_prefix="##", **common, **given)
    else:
        trainer = hf.trainers.WordPieceTrainer(
            **common, **{k: list(v) if isinstance(v, set) else v for k, v in given.items()}
        )
    theirs = train_theirs(words, trainer)
    assert train_ours(words, theirs, **options) == theirs


@pytest.fixture(scope="module", params=["english", "code", "japanese"])
def words(request: pytest.FixtureRequest) -> dict[str, int]:
    if request.param == "code":
        texts = [document.text for document in python_documents()][:60]
    else:
        folder: Path = request.getfixturevalue("fixtures_dir") / "corpora"
        name = {"english": "botchan.txt", "japanese": "wagahaiwa_nekodearu.txt"}[request.param]
        texts = [(folder / name).read_text("utf-8")]
    split = hf.pre_tokenizers.BertPreTokenizer()
    return Counter(word for text in texts for word, _ in split.pre_tokenize_str(text))


@pytest.mark.parametrize(
    "options",
    [
        {"vocab_size": 8000},
        {"vocab_size": 9000, "min_frequency": 3},
        {"vocab_size": 3000, "initial_alphabet": ["☃", "x"]},
        {"vocab_size": 3000, "max_token_length": 5},
    ],
    ids=lambda options: "-".join(options),
)
def test_same_vocabulary(words: dict[str, int], options: dict[str, Any]) -> None:
    check(words, **options)


def test_same_vocabulary_with_a_limited_alphabet(words: dict[str, int]) -> None:
    counts: Counter[str] = Counter()
    for word, count in words.items():
        counts.update({c: n * count for c, n in Counter(word).items()})
    ranked = sorted(counts.values(), reverse=True)
    # Among equal counts theirs drops by the order of a hash map: cut where counts differ.
    limit = next(i for i in range(30, len(ranked)) if ranked[i] < ranked[i - 1])
    check(words, vocab_size=2000, limit_alphabet=limit)


def test_random_words() -> None:
    rng = random.Random(5)
    for _ in range(150):
        letters = rng.choice(["ab", "abcde", "#a", "日本語ab"])
        size = rng.randint(1, 40)
        words = {
            "".join(rng.choices(letters, k=rng.randint(1, 12))): rng.randint(1, 30)
            for _ in range(size)
        }
        check(words, vocab_size=rng.randint(10, 80), min_frequency=rng.randint(0, 4))
        # With "#" a token has several lengths, and theirs depends on the order of a hash map.
        if "#" not in letters:
            check(words, vocab_size=60, max_token_length=rng.randint(1, 6))

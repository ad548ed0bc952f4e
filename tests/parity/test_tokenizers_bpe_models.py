"""Every kind of BPE model against its reference: `tokenizers`, `tiktoken` and `sentencepiece`.

Models are built from the files' contents by the small readers here; what is compared is what the
model alone does with one pre-token.
"""

import base64
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmcore._bindings import BpeDoor, bytes_to_text

pytestmark = pytest.mark.parity

ALPHABETS = [
    "abc",
    "the quick brown fox",
    " \t\n",
    "0123456789",
    "日本語の文章です。吾輩は猫である",
    "العربية",
    "😀👩‍👩‍👧🇯🇵",
    "e\u0301o\u0308\u200d\u3000\u00a0",
    "\x00\x01\x7f",
    "^=-_",
]


def random_texts(rng: random.Random, count: int, most: int = 40) -> list[str]:
    """Runs of the alphabets, mixed; some long and repetitive."""
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 4)):
            alphabet = rng.choice(ALPHABETS)
            parts.append("".join(rng.choices(alphabet, k=rng.randint(1, most))))
        texts.append("".join(parts))
    return texts


def words_of(fixtures_dir: Path, count: int) -> list[str]:
    corpora = fixtures_dir / "corpora"
    english = (corpora / "botchan.txt").read_text("utf-8").split()
    japanese = (corpora / "wagahaiwa_nekodearu.txt").read_text("utf-8").split("。")
    rng = random.Random(1)
    return rng.sample(english, count) + rng.sample(japanese, count // 8)


def every_char(step: int) -> list[str]:
    return [chr(c) for c in range(1, 0x110000, step) if not 0xD800 <= c < 0xE000]


# --- tiktoken ---


@pytest.fixture(scope="module")
def cl100k(fixtures_dir: Path) -> tuple[BpeDoor, Callable[[bytes], list[int]]]:
    tiktoken = pytest.importorskip("tiktoken")
    path = fixtures_dir / "tokenizers" / "models" / "tiktoken.cl100k_base.tiktoken"
    lines = [line.split() for line in path.read_bytes().splitlines()]
    tokens = [base64.b64decode(token) for token, _ in lines]
    assert [int(rank) for _, rank in lines] == list(range(len(lines)))
    theirs = tiktoken.Encoding(
        "ours",
        pat_str=r"[\s\S]+",
        mergeable_ranks={t: i for i, t in enumerate(tokens)},
        special_tokens={},
    )
    return BpeDoor.build(tokens, [], [], {"by_rank": True}), theirs._encode_single_piece


def test_cl100k_words_and_noise(cl100k: Any, fixtures_dir: Path) -> None:
    ours, theirs = cl100k
    rng = random.Random(2)
    pieces = [t.encode() for t in words_of(fixtures_dir, 4000) + random_texts(rng, 3000)]
    pieces += [b" " + p for p in pieces[:2000]]
    pieces += [rng.randbytes(rng.randint(1, 200)) for _ in range(2000)]
    pieces += [unit * n for unit in (b"a", b" ", b"^", b"ab", "日".encode()) for n in (99, 1000)]
    for piece in pieces:
        ids, ends = ours.encode(piece, True)
        assert ids.tolist() == theirs(piece), piece
        assert ends.tolist()[-1] == len(piece)


def test_every_token_of_cl100k_is_itself(cl100k: Any, fixtures_dir: Path) -> None:
    """tiktoken looks a whole piece up before it merges."""
    ours, theirs = cl100k
    path = fixtures_dir / "tokenizers" / "models" / "tiktoken.cl100k_base.tiktoken"
    for i, line in enumerate(path.read_bytes().splitlines()):
        token = base64.b64decode(line.split()[0])
        assert ours.encode(token)[0].tolist() == [i]


@pytest.mark.parametrize("seed", range(40))
def test_random_ranks(seed: int) -> None:
    """Ranks in any order: tokens better than their parts, and tokens that no merge can reach."""
    tiktoken = pytest.importorskip("tiktoken")
    rng = random.Random(seed)
    letters = "ab" if seed % 2 else "abcd"
    more = {"".join(rng.choices(letters, k=rng.randint(2, 6))).encode() for _ in range(60)}
    tokens = [bytes([b]) for b in range(256)] + sorted(more)
    rng.shuffle(tokens)
    theirs = tiktoken.Encoding(
        "t",
        pat_str=r"[\s\S]+",
        mergeable_ranks={t: i for i, t in enumerate(tokens)},
        special_tokens={},
    )
    ours = BpeDoor.build(tokens, [], [], {"by_rank": True})
    for size in [*range(1, 40), 127, 128, 129, 300]:
        piece = "".join(rng.choices(letters, k=size)).encode()
        assert ours.encode(piece)[0].tolist() == theirs._encode_single_piece(piece)


# --- tokenizers ---


def door_of(model: dict[str, Any], **options: Any) -> BpeDoor:
    """A BPE model in the schema of tokenizer.json."""
    vocab = model["vocab"]
    tokens = [b""] * (max(vocab.values()) + 1)
    for text, i in vocab.items():
        tokens[i] = text.encode()
    pairs = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
    names = ("unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk")
    names += ("byte_fallback", "ignore_merges", "dropout")
    given = {name: model[name] for name in names if model.get(name) is not None}
    return BpeDoor.build(tokens, [(vocab[a], vocab[b]) for a, b in pairs], [], given | options)


def assert_same(ours: BpeDoor, theirs: Any, piece: str, given: str | None = None) -> None:
    """`given`: what tokenizers sees of the piece (byte stand-ins)."""
    want = theirs.tokenize(piece if given is None else given)
    ids, ends = ours.encode(piece, True)
    assert ids.tolist() == [t.id for t in want], piece
    assert ours.encode(piece)[0].tolist() == ids.tolist()
    if given is None:
        spans = [t.offsets[1] for t in want]
        assert ends.tolist() == spans, piece


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox"])
def test_byte_level_merge_lists(name: str, fixtures_dir: Path) -> None:
    hf = pytest.importorskip("tokenizers")
    path = fixtures_dir / "tokenizers" / "models" / f"tokenizers.{name}.json"
    theirs = hf.Tokenizer.from_file(str(path)).model
    ours = door_of(json.loads(path.read_text("utf-8"))["model"], byte_chars=True)
    texts = words_of(fixtures_dir, 3000) + random_texts(random.Random(3), 2000) + every_char(1931)
    texts += [unit * n for unit in "a ^日" for n in (127, 128, 129, 2000)]
    for text in texts:
        assert_same(ours, theirs, text, bytes_to_text(text.encode()))


def test_mistral(fixtures_dir: Path) -> None:
    """Characters, byte fallback, unknown tokens that fuse."""
    hf = pytest.importorskip("tokenizers")
    path = fixtures_dir / "tokenizers" / "models" / "tokenizers.mistral03.json"
    theirs = hf.Tokenizer.from_file(str(path)).model
    ours = door_of(json.loads(path.read_text("utf-8"))["model"])
    texts = words_of(fixtures_dir, 3000) + random_texts(random.Random(4), 2000) + every_char(1931)
    for text in texts:
        assert_same(ours, theirs, "▁" + text.replace(" ", "▁"))


def random_model(hf: Any, rng: random.Random) -> tuple[Any, dict[str, Any]]:
    """A small BPE with every option at random; some characters and bytes have no token."""
    chars = "abcé日"
    options: dict[str, Any] = {
        "unk_token": rng.choice([None, "<unk>"]),
        "fuse_unk": rng.random() < 0.5,
        "byte_fallback": rng.random() < 0.5,
        "ignore_merges": rng.random() < 0.5,
        "continuing_subword_prefix": rng.choice([None, "##"]),
        "end_of_word_suffix": rng.choice([None, "</w>"]),
    }
    prefix = options["continuing_subword_prefix"] or ""
    suffix = options["end_of_word_suffix"] or ""
    words = ["<unk>"]
    for c in chars:
        words += [p + c + s for p in {"", prefix} for s in {"", suffix} if rng.random() < 0.9]
    words += [f"<0x{b:02X}>" for b in range(256) if rng.random() < 0.97]
    vocab = {word: i for i, word in enumerate(dict.fromkeys(words))}
    merges: list[tuple[str, str]] = []
    for _ in range(rng.randint(0, 40)):
        left, right = rng.choice(list(vocab)), rng.choice(list(vocab))
        fits = right.startswith(prefix) and not (suffix and left.endswith(suffix))
        if not fits or left[0] == "<" or right[0] == "<" or (left, right) in merges:
            continue
        vocab.setdefault(left + right[len(prefix) :], len(vocab))
        merges.append((left, right))
    rng.shuffle(merges)
    given = {k: v for k, v in options.items() if v is not None}
    model = {"vocab": vocab, "merges": [list(m) for m in merges]} | given
    return hf.models.BPE(vocab=vocab, merges=merges, **given), model


@pytest.mark.parametrize("seed", range(120))
def test_random_options(seed: int) -> None:
    hf = pytest.importorskip("tokenizers")
    rng = random.Random(seed)
    theirs, model = random_model(hf, rng)
    ours = door_of(model)
    for size in [1, 2, 3, 4, 5, 8, 20, 60, 140]:
        for _ in range(4):
            assert_same(ours, theirs, "".join(rng.choices("abbcé日zΩ😀", k=size)))


def test_dropout_is_distributed_as_theirs(fixtures_dir: Path) -> None:
    """Mean number of tokens of one word, which differs by 20 % between a dropout of 0.1 and 0.2."""
    hf = pytest.importorskip("tokenizers")
    path = fixtures_dir / "tokenizers" / "models" / "tokenizers.gpt2.json"
    model = json.loads(path.read_text("utf-8"))["model"]
    ours = door_of(model, byte_chars=True)
    merges = [tuple(m.split(" ")) for m in model["merges"]]
    word, rounds = "internationalization", 4000
    for dropout in (0.1, 0.5):
        theirs = hf.models.BPE(vocab=model["vocab"], merges=merges, dropout=dropout)
        want = sum(len(theirs.tokenize(word)) for _ in range(rounds)) / rounds
        got = sum(len(ours.sample(word, dropout, seed)[0]) for seed in range(rounds)) / rounds
        assert abs(got - want) < 0.03 * want


# --- sentencepiece ---


def door_of_pieces(proto: Any) -> BpeDoor:
    """A BPE model from sentencepiece's own protobuf message."""
    options = {
        "byte_fallback": proto.trainer_spec.byte_fallback,
        "extra": json.dumps({"piece_kinds": [p.type for p in proto.pieces]}),
    }
    tokens = [p.piece.encode() for p in proto.pieces]
    return BpeDoor.build(tokens, [], [p.score for p in proto.pieces], options)


def processor_of(proto: Any) -> Any:
    sentencepiece = pytest.importorskip("sentencepiece")
    return sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())


@pytest.fixture(scope="module")
def llama2(fixtures_dir: Path) -> Any:
    pb2 = pytest.importorskip("sentencepiece.sentencepiece_model_pb2")
    path = fixtures_dir / "tokenizers" / "models" / "sentencepiece.llama2.model"
    proto = pb2.ModelProto.FromString(path.read_bytes())
    return door_of_pieces(proto), processor_of(proto)


def spaced(text: str) -> str:
    """What llama2's normaliser makes of a text."""
    return "▁" + text.replace(" ", "▁")


def test_llama2(llama2: Any, fixtures_dir: Path) -> None:
    ours, theirs = llama2
    corpora = fixtures_dir / "corpora"
    texts = (corpora / "botchan.txt").read_text("utf-8").splitlines()[:1500]
    texts += (corpora / "wagahaiwa_nekodearu.txt").read_text("utf-8").splitlines()[:300]
    texts += random_texts(random.Random(5), 3000) + every_char(1931)
    texts += [unit * n for unit in ("a", " ", "日", "ab", "^") for n in (127, 1000)]
    for text in texts:
        if not text:
            continue
        want = theirs.encode(text)
        assert ours.encode(spaced(text))[0].tolist() == want, text
        ids, ends = ours.encode(spaced(text), True)
        assert ids.tolist() == want
        assert ends.tolist()[-1] == len(spaced(text).encode())


def random_pieces(rng: random.Random) -> Any:
    """A small model: tied scores, characters without a piece, user-defined and unused pieces."""
    pb2 = pytest.importorskip("sentencepiece.sentencepiece_model_pb2")
    proto = pb2.ModelProto()
    proto.trainer_spec.model_type = 2
    proto.trainer_spec.byte_fallback = rng.random() < 0.5
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = False
    proto.normalizer_spec.remove_extra_whitespaces = False
    proto.normalizer_spec.escape_whitespaces = False
    proto.pieces.add(piece="<unk>", score=0, type=2)
    proto.pieces.add(piece="<s>", score=0, type=3)
    if proto.trainer_spec.byte_fallback:
        for b in range(256):
            proto.pieces.add(piece=f"<0x{b:02X}>", score=0, type=6)
    with_unused, with_user = rng.random() < 0.4, rng.random() < 0.4
    letters = "abcé日"
    seen = set()
    for _ in range(rng.randint(5, 60)):
        text = "".join(rng.choices(letters, k=rng.choice([1, 1, 2, 2, 3, 3, 4, 5])))
        if text in seen:
            continue
        seen.add(text)
        kind = 5 if with_unused and rng.random() < 0.3 else 1
        kind = 4 if with_user and rng.random() < 0.1 else kind
        proto.pieces.add(piece=text, score=-float(rng.randint(0, 12)), type=kind)
    return proto


@pytest.mark.parametrize("seed", range(150))
def test_random_pieces(seed: int) -> None:
    rng = random.Random(seed)
    proto = random_pieces(rng)
    ours, theirs = door_of_pieces(proto), processor_of(proto)
    for size in [1, 2, 3, 5, 9, 20, 60, 200]:
        for _ in range(5):
            text = "".join(rng.choices("aabbccé日zΩ", k=size))
            want = theirs.encode(text)
            assert ours.encode(text)[0].tolist() == want, text
            assert ours.encode(text)[0].tolist() == want, "from the cache"
            ids, ends = ours.encode(text, True)
            assert ids.tolist() == want
            spans = theirs.encode(text, return_type="proto").pieces
            if not proto.trainer_spec.byte_fallback:
                assert ends.tolist() == [s.end for s in spans]  # in bytes

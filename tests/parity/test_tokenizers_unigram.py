"""Unigram against `sentencepiece` and against Hugging Face `tokenizers`: ids, ties, unknowns."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers as hf

from llmcore import _bindings

spm = pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")
model_pb2 = pytest.importorskip("sentencepiece.sentencepiece_model_pb2")

pytestmark = pytest.mark.parity

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
SPACE = "\u2581"


def build_ours(proto: Any) -> _bindings.Unigram:
    pieces = proto.pieces
    return _bindings.Unigram.build(
        [p.piece for p in pieces],
        [p.score for p in pieces],
        next(i for i, p in enumerate(pieces) if p.type == UNKNOWN),
        proto.trainer_spec.byte_fallback,
        True,
        [p.type for p in pieces],
    )


def build_theirs(proto: Any) -> Any:
    return spm.SentencePieceProcessor(model_proto=proto.SerializeToString())


@pytest.fixture(scope="module", params=["nai-t5", "botchan_unigram"])
def real(request: pytest.FixtureRequest, fixtures_dir: Path) -> tuple[_bindings.Unigram, Any]:
    proto = model_pb2.ModelProto()
    path = fixtures_dir / "tokenizers" / "models" / f"sentencepiece.{request.param}.model"
    proto.ParseFromString(path.read_bytes())
    return build_ours(proto), build_theirs(proto)


def corpus_lines(folder: Path) -> list[str]:
    names = ["botchan.txt", "wagahaiwa_nekodearu.txt", "self_instruct_zh_seed_tasks.json"]
    texts = [(folder / "corpora" / name).read_text("utf-8") for name in names]
    return [line for text in texts for line in text.split("\n") if line]


def random_text(rng: random.Random) -> str:
    pools = [
        "etaoin shrdlu ETAOIN",
        "  \t\n.,-'\"()",
        "-----......00000",
        "日本語のテキスト。",
        "مرحبا بالعالم",
        "😀👩‍👩‍👧🇯🇵",
        "e\u0301a\u0308\u200d\ufeff",
        "{}[]()=+*/<>;:_#",
    ]
    parts = []
    for _ in range(rng.randrange(1, 12)):
        pool = rng.choice(pools)
        parts.append("".join(rng.choice(pool) for _ in range(rng.randrange(1, 20))))
    if rng.random() < 0.3:
        code = rng.randrange(1, 0x110000 - 0x800)
        parts.append(chr(code if code < 0xD800 else code + 0x800))
    return "".join(parts)


def assert_same_ids(ours: _bindings.Unigram, theirs: Any, texts: list[str]) -> None:
    ids, offsets = ours.encode_batch(theirs.normalize(texts))
    want = theirs.encode(texts)
    assert np.diff(offsets).tolist() == [len(w) for w in want]
    for text, begin, end, expected in zip(texts, offsets, offsets[1:], want, strict=False):
        assert ids[begin:end].tolist() == expected, text


def test_corpora_by_line(real: tuple[_bindings.Unigram, Any], fixtures_dir: Path) -> None:
    assert_same_ids(*real, corpus_lines(fixtures_dir)[::3])


def test_one_long_text(real: tuple[_bindings.Unigram, Any], fixtures_dir: Path) -> None:
    """Long enough for float32 sums to lose the difference between paths, and to be reset."""
    ours, theirs = real
    text = (fixtures_dir / "corpora" / "botchan.txt").read_text("utf-8")
    assert ours.encode(theirs.normalize(text)).tolist() == theirs.encode(text)


def test_random_texts(real: tuple[_bindings.Unigram, Any]) -> None:
    rng = random.Random(1)
    assert_same_ids(*real, [random_text(rng) for _ in range(3000)])


def random_proto(rng: random.Random) -> Any:
    """A small vocabulary with many equal and near-equal scores, of every type of piece."""
    proto = model_pb2.ModelProto()
    proto.trainer_spec.model_type = 1
    proto.trainer_spec.byte_fallback = rng.random() < 0.4
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = rng.random() < 0.5
    proto.normalizer_spec.remove_extra_whitespaces = False
    proto.pieces.add(piece="<unk>", score=0, type=UNKNOWN)
    proto.pieces.add(piece="</s>", score=0, type=CONTROL)
    if proto.trainer_spec.byte_fallback:
        for byte in range(256):
            proto.pieces.add(piece=f"<0x{byte:02X}>", score=0, type=BYTE)
    alphabet = rng.choice(["ab", "abc" + SPACE, "ab-é日" + SPACE, "a" + SPACE])
    scale = rng.choice([0.1, 0.5, 1.0])
    pieces = set()
    for _ in range(rng.randrange(2, 40)):
        pieces.add("".join(rng.choice(alphabet) for _ in range(rng.randrange(1, 7))))
    for piece in sorted(pieces):
        kind = rng.choices([NORMAL, USER_DEFINED, UNUSED], [12, 1, 1])[0]
        score = -rng.randrange(1, 20) * scale - rng.choice([0, 0, 1e-6, 1.0 / 3])
        proto.pieces.add(piece=piece, score=score, type=kind)
    return proto


@pytest.mark.parametrize("seed", range(60))
def test_random_vocabularies(seed: int) -> None:
    rng = random.Random(seed)
    proto = random_proto(rng)
    texts = [
        "".join(rng.choice("aaabbc-é日x ") for _ in range(rng.randrange(1, size)))
        for size in [3, 6, 12, 40, 200]
        for _ in range(20)
    ]
    assert_same_ids(build_ours(proto), build_theirs(proto), texts)


def test_score_resets() -> None:
    """Scores so low that the running sum is reset every few words, within words too."""
    proto = random_proto(random.Random(5))
    for piece in proto.pieces:
        piece.score *= 3001.5
    rng = random.Random(6)
    texts = ["".join(rng.choice("aab-é日 ") for _ in range(2000)) for _ in range(10)]
    assert_same_ids(build_ours(proto), build_theirs(proto), texts)


def test_nbest_scores(real: tuple[_bindings.Unigram, Any]) -> None:
    ours, theirs = real
    rng = random.Random(3)
    words = ["hello", "segmentation", "unbelievable", "New", "York", "the", "tokenizers"]
    for _ in range(20):
        text = " ".join(rng.choice(words) for _ in range(rng.randrange(1, 6)))
        want = theirs.nbest_encode(text, nbest_size=20, return_type="proto").nbests
        got = ours.nbest(theirs.normalize(text), 20)
        assert np.allclose([s for s, _ in got], [w.score for w in want], rtol=1e-5)
        their_ids = [[p.id for p in w.pieces] for w in want]
        # The last ones may tie with those that were cut off.
        sure = [ids for score, ids in got if score > got[-1][0] + 1e-3]
        assert sorted(sure) == sorted(their_ids[: len(sure)])


def build_tokenizers(
    vocab: list[tuple[str, float]], unk_id: int | None, byte_fallback: bool
) -> Any:
    return hf.Tokenizer(hf.models.Unigram(vocab, unk_id, byte_fallback))


@pytest.mark.parametrize("seed", range(60))
def test_tokenizers_rules(seed: int) -> None:
    rng = random.Random(seed)
    alphabet = rng.choice(["ab", "abcé", "ab<unk>"])
    pieces = {"".join(rng.choice(alphabet) for _ in range(rng.randrange(1, 6))) for _ in range(30)}
    if rng.random() < 0.5:
        pieces |= {"xy", "zzz"}  # their characters are unknown one by one
    scale = rng.choice([0.25, 1.0 / 3, -0.5])
    vocab = [(p, -rng.randrange(1, 12) * scale) for p in sorted(pieces - {"<unk>"})]
    vocab.insert(rng.randrange(len(vocab)), ("<unk>", 0.0))
    byte_fallback = rng.random() < 0.5
    if byte_fallback:
        covered = 256 if rng.random() < 0.7 else 120
        vocab += [(f"<0x{byte:02X}>", -rng.random()) for byte in range(covered)]
    unk_id = next(i for i, (p, _) in enumerate(vocab) if p == "<unk>")
    theirs = build_tokenizers(vocab, unk_id, byte_fallback)
    ours = _bindings.Unigram.build(
        [p for p, _ in vocab], [s for _, s in vocab], unk_id, byte_fallback, False, []
    )
    for size in [3, 6, 12, 40, 200]:
        for _ in range(20):
            text = "".join(rng.choice("aabcéxyz日<unk>") for _ in range(rng.randrange(1, size)))
            want = theirs.encode(text)
            ids, ends = ours.encode_with_ends(text)
            assert ids.tolist() == want.ids, text
            if not byte_fallback:
                chars = [len(text.encode()[:end].decode()) for end in ends.tolist()]
                assert chars == [end for _, end in want.offsets]


def test_a_missing_unknown_token_fails_alike() -> None:
    from llmcore.errors import DataError

    vocab = [("a", -1.0), ("ab", -1.5)]
    theirs = build_tokenizers(vocab, None, False)
    ours = _bindings.Unigram.build(["a", "ab"], [-1.0, -1.5], -1, False, False, [])
    assert ours.encode("aaab").tolist() == theirs.encode("aaab").ids
    with pytest.raises(Exception, match="unk_id"):
        theirs.encode("abc")
    with pytest.raises(DataError, match="unk_id is not set"):
        ours.encode("abc")

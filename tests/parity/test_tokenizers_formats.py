"""Files of tokenizers against the packages that define them: what is read, and what they read."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
import sentencepiece as spm
import tokenizers as hf
from sentencepiece import sentencepiece_model_pb2 as pb
from tiktoken import Encoding
from tiktoken.load import load_tiktoken_bpe
from tiktoken_ext import openai_public

from llmcore import _bindings
from llmcore.tokenizers.formats import read_tokenizer_file, write_tokenizer_file

pytestmark = pytest.mark.parity

HUGGING_FACE = ("gpt2", "gpt_neox", "mistral03", "bert_base_cased")
SENTENCEPIECE = ("llama2", "nai-t5", "botchan_unigram")
R50K_SHA256 = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"


@pytest.fixture(scope="module")
def models(fixtures_dir: Path) -> Path:
    return fixtures_dir / "tokenizers" / "models"


@pytest.fixture(scope="module")
def texts(fixtures_dir: Path) -> list[str]:
    lines = []
    for name in ("small", "mixed"):
        path = fixtures_dir / "tokenizers" / "inputs" / f"{name}.txt"
        lines += path.read_text(encoding="utf-8").split("\n")
    return [line for line in lines if line]


def read(path: Path) -> _bindings.TokenizerSpec:
    return _bindings.read_tokenizer(path.read_bytes(), path.name)


def as_json(spec: _bindings.TokenizerSpec) -> hf.Tokenizer:
    return hf.Tokenizer.from_str(_bindings.write_tokenizer(spec, "tokenizer.json").decode())


def vocab_of(spec: _bindings.TokenizerSpec) -> dict[str, int]:
    return {token: i for i, token in enumerate(spec.to_dict()["tokens"]) if token}


@pytest.mark.parametrize("name", HUGGING_FACE)
def test_tokenizer_json(models: Path, name: str) -> None:
    """The same vocabulary and added ids; a file written here is theirs, field by field."""
    path = models / f"tokenizers.{name}.json"
    spec, theirs = read(path), hf.Tokenizer.from_file(str(path))
    assert vocab_of(spec) == theirs.get_vocab(with_added_tokens=False)
    assert {t["id"]: t["content"] for t in spec.added} == {
        i: t.content for i, t in theirs.get_added_tokens_decoder().items()
    }
    want, got = json.loads(theirs.to_str()), json.loads(as_json(spec).to_str())
    for field in ("continuing_subword_prefix", "end_of_word_suffix"):
        # Theirs tells an empty text from none; both mean none.
        if field in want["model"]:
            want["model"][field] = want["model"][field] or None
    assert got == want
    assert _bindings.write_tokenizer(spec, "llmcore") == b""


def random_added(dice: random.Random, vocab: list[str]) -> list[dict[str, Any]]:
    tokens = []
    for i in range(dice.randint(0, 8)):
        content = dice.choice([dice.choice(vocab), f"<{dice.randint(0, 5)}>", "x y", ""])
        flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
        entry = {"id": dice.randint(0, 20) if i else 3, "content": content}
        tokens.append(entry | {flag: dice.random() < 0.5 for flag in flags})
    return tokens


def test_ids_of_added_tokens() -> None:
    """Whatever ids a file gives them, they are numbered as theirs are.

    Where the model's ids leave gaps theirs may give one id to two tokens: not followed.
    """
    dice = random.Random(1)
    for _ in range(300):
        ids = dice.sample(range(6), 6)
        vocab = dict(zip("abcdef", ids, strict=True))
        data = {
            "version": "1.0",
            "added_tokens": random_added(dice, list(vocab)),
            "model": {"type": "BPE", "vocab": vocab, "merges": []},
        }
        text = json.dumps(data)
        theirs = hf.Tokenizer.from_str(text)
        ours = _bindings.read_tokenizer(text.encode(), "x").added
        want = {i: t for i, t in theirs.get_added_tokens_decoder().items()}
        assert {t["id"]: t["content"] for t in ours} == {i: t.content for i, t in want.items()}
        for token in ours:
            their = want[token["id"]]
            for flag in ("single_word", "lstrip", "rstrip", "normalized", "special"):
                assert token[flag] == getattr(their, flag)


def test_tiktoken(models: Path, tmp_path: Path) -> None:
    path = models / "tiktoken.cl100k_base.tiktoken"
    spec = read_tokenizer_file(path)
    theirs = load_tiktoken_bpe(str(path))
    assert spec.vocab_size == max(theirs.values()) + 1
    spelled = {_bindings.bytes_to_text(token): rank for token, rank in theirs.items()}
    assert vocab_of(spec) == spelled
    assert json.loads(spec.extra)["encoding"] == "cl100k_base"
    assert _bindings.write_tokenizer(spec, "tiktoken") == path.read_bytes()


def known_encodings(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What tiktoken knows of its encodings; the ranks, which it would load, left out."""
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: {})
    return {
        name: openai_public.ENCODING_CONSTRUCTORS[name]()
        for name in ("r50k_base", "p50k_base", "cl100k_base", "o200k_base")
    }


def test_patterns_are_tiktokens(monkeypatch: pytest.MonkeyPatch) -> None:
    encodings = known_encodings(monkeypatch)
    theirs = {name: encodings[name]["pat_str"] for name in ("cl100k_base", "o200k_base")}
    ours = json.loads(_bindings.split_pattern("o200k_base") or "")
    assert ours["pretokenizers"][0]["pattern"] == {"Regex": theirs["o200k_base"]}
    # Oniguruma reads cl100k's {1,3}+ as a loop: it has a text of its own there.
    ours = _bindings.split_pattern("cl100k_base")
    assert ours is not None
    assert ours == _bindings.split_pattern(theirs["cl100k_base"])
    for name in ("r50k_base", "p50k_base"):
        assert json.loads(_bindings.split_pattern(name) or "")["type"] == "ByteLevel"


def test_cl100k_special_tokens(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    want = known_encodings(monkeypatch)["cl100k_base"]["special_tokens"]
    spec = read(models / "tiktoken.cl100k_base.tiktoken")
    assert {t["content"]: t["id"] for t in spec.added} == want


def test_gpt2_as_ranks_is_r50k(models: Path) -> None:
    """GPT-2's merge list becomes the very file that tiktoken loads."""
    data = _bindings.write_tokenizer(read(models / "tokenizers.gpt2.json"), "tiktoken")
    assert hashlib.sha256(data).hexdigest() == R50K_SHA256
    spec = _bindings.read_tokenizer(data, "r50k")
    assert json.loads(spec.extra)["encoding"] == "r50k_base"
    assert [(t["content"], t["id"]) for t in spec.added] == [("<|endoftext|>", 50256)]


def test_ranks_as_merges(models: Path, texts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A rank file written as tokenizer.json gives tiktoken's ids in `tokenizers`."""
    path = models / "tiktoken.cl100k_base.tiktoken"
    known = known_encodings(monkeypatch)["cl100k_base"]
    theirs = Encoding(**(known | {"mergeable_ranks": load_tiktoken_bpe(str(path))}))
    converted = as_json(read(path))
    for text in texts:
        want = theirs.encode(text, allowed_special="all")
        assert converted.encode(text, add_special_tokens=False).ids == want


@pytest.mark.parametrize("name", SENTENCEPIECE)
def test_sentencepiece(models: Path, texts: list[str], name: str) -> None:
    """Pieces, and the ids of a model that went through this library."""
    path = models / f"sentencepiece.{name}.model"
    proto = pb.ModelProto()
    proto.ParseFromString(path.read_bytes())
    spec = read(path)
    assert spec.to_dict()["scores"] == [p.score for p in proto.pieces]
    types = {"unknown": 2, "control": 3, "user_defined": 4, "unused": 5, "byte": 6}
    listed = json.loads(spec.extra)["sentencepiece"]["types"]
    for kind, number in types.items():
        assert listed.get(kind, []) == [i for i, p in enumerate(proto.pieces) if p.type == number]
    written = _bindings.write_tokenizer(spec, "sentencepiece")
    again = pb.ModelProto()
    again.ParseFromString(written)
    again.trainer_spec.vocab_size = proto.trainer_spec.vocab_size
    pieces = [[(p.piece, p.score, p.type) for p in m.pieces] for m in (again, proto)]
    assert pieces[0] == pieces[1]
    for field in proto.trainer_spec.DESCRIPTOR.fields:
        assert getattr(again.trainer_spec, field.name) == getattr(proto.trainer_spec, field.name)
    for field in proto.normalizer_spec.DESCRIPTOR.fields:
        ours, theirs = (getattr(p.normalizer_spec, field.name) for p in (again, proto))
        assert ours == theirs
    before = spm.SentencePieceProcessor(model_file=str(path))
    after = spm.SentencePieceProcessor(model_proto=written)
    for text in texts:
        assert after.encode(text) == before.encode(text)


@pytest.mark.parametrize("name", SENTENCEPIECE)
def test_sentencepiece_through_gguf(models: Path, texts: list[str], name: str) -> None:
    """GGUF keeps pieces, scores, types and the charsmap."""
    path = models / f"sentencepiece.{name}.model"
    gguf = _bindings.read_tokenizer(_bindings.write_tokenizer(read(path), "gguf"), "x")
    before = spm.SentencePieceProcessor(model_file=str(path))
    after = spm.SentencePieceProcessor(model_proto=_bindings.write_tokenizer(gguf, "sentencepiece"))
    for text in texts:
        assert after.encode(text) == before.encode(text)


@pytest.mark.parametrize("name", SENTENCEPIECE)
def test_sentencepiece_as_json(models: Path, texts: list[str], name: str) -> None:
    """`tokenizers` gives the model's ids.

    Left out: text that holds one of the model's special tokens, which SentencePiece does not look
    for, and text that the two packages' charsmaps normalise differently.
    """
    path = models / f"sentencepiece.{name}.model"
    theirs = spm.SentencePieceProcessor(model_file=str(path))
    converted = as_json(read(path))
    special = [t["content"] for t in read(path).added]
    seen = 0
    for text in texts:
        normalized = converted.normalizer.normalize_str(text)
        if any(s in text for s in special) or normalized != theirs.normalize(text):
            continue
        assert converted.encode(text, add_special_tokens=False).ids == theirs.encode(text)
        seen += 1
    assert seen > 10


@pytest.mark.parametrize("name", HUGGING_FACE)
def test_our_directory(models: Path, tmp_path: Path, name: str) -> None:
    spec = read(models / f"tokenizers.{name}.json")
    write_tokenizer_file(spec, tmp_path)
    assert read_tokenizer_file(tmp_path).to_dict() == spec.to_dict()


def test_vocabulary_files(models: Path, tmp_path: Path) -> None:
    """Their readers of plain vocabularies load what is written here."""
    spec = read(models / "tokenizers.gpt2.json")
    write_tokenizer_file(spec, tmp_path, format="vocab.json")
    model = hf.models.BPE.from_file(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    vocab, _ = hf.models.BPE.read_file(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    assert model is not None and vocab == vocab_of(spec)
    bert = read(models / "tokenizers.bert_base_cased.json")
    path = write_tokenizer_file(bert, tmp_path / "vocab.txt", format="vocab.txt")
    assert hf.models.WordPiece.read_file(str(path)) == vocab_of(bert)
    again, before = read_tokenizer_file(path).to_dict(), bert.to_dict()
    for data in (again, before):
        data["post_processor"] = json.loads(data["post_processor"])
    assert again == before


def test_gguf_against_their_package(models: Path, tmp_path: Path) -> None:
    """The `gguf` package reads what is written here, and the other way round."""
    gguf = pytest.importorskip("gguf", reason="the gguf package is not installed")
    spec = read(models / "tokenizers.gpt2.json")
    path = write_tokenizer_file(spec, tmp_path / "gpt2.gguf", format="gguf")
    fields = gguf.GGUFReader(path).fields
    assert fields["tokenizer.ggml.model"].contents() == "gpt2"
    tokens = fields["tokenizer.ggml.tokens"].contents()
    assert dict(zip(tokens, range(len(tokens)), strict=True)) == vocab_of(spec)
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    ids = vocab_of(spec)
    assert [(ids[a], ids[b]) for a, b in merges] == spec.to_dict()["merges"]

    writer = gguf.GGUFWriter(tmp_path / "theirs.gguf", "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(fields["tokenizer.ggml.token_type"].contents())
    writer.add_token_merges(fields["tokenizer.ggml.merges"].contents())
    writer.add_array("other.numbers", [[1, 2], [3]])
    writer.add_float64("other.number", 1.5)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    theirs = read_tokenizer_file(tmp_path / "theirs.gguf").to_dict()
    ours = read_tokenizer_file(path).to_dict()
    differing = {name for name in ours if ours[name] != theirs[name]}
    assert differing <= {"extra"}

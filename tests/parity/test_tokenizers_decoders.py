"""Decoders and post-processors against `tokenizers` and `sentencepiece`: random components."""

import io
import json
import os
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece as spm
import tokenizers as hf

from llmcore._bindings import PostProcessor, TokenBytes, decode_tokens

pytestmark = pytest.mark.parity

FIXTURES = Path(os.environ.get("LLMCORE_FIXTURES", "../shared/fixtures")) / "tokenizers"

# Pieces on which some decoder does something odd.
WORDS = re.findall(
    r"\S+",
    """
a b hello Hello A1 ▁ ▁a ▁▁ a▁b ▁hello▁ _ _a Ġ Ġhello Ġa Ċ é É Â ã ģ Ĥ âĢ Ļ ð Ł ĺ Ģ 日本 語 😀 한
<0x61> <0xE5> <0x8f> <0xab> <0xAB> <0xF0> <0x9F> <0x98> <0x80> <0xFF> <0xC3> <0xed> <0xA0> <0x0A>
<0x+1> <0xé> <0x1> <0x123> <0xGG> ## ##a ##hello a## </w> a</w> b</w></w>
<pad> | a|b <unk> <s> </s> [CLS] [SEP] . ? ! , ' 's n't 'm 've 're don't aa aaa
""",
)
SPACED = [" ", "  ", "   ", " a", "a ", " .", " ?", " !", " ,", " ' ", " n't", " 'm", " do not"]
SPACED += [" 's", " 've", " 're", " do nothing", "\u0301", "\u00a0", "\n", "\t", "\x00", "\ufffd"]
TOKENS = WORDS + SPACED


def theirs_with(decoder: Any, post_processor: Any = None) -> hf.Tokenizer:
    added = [
        {
            "id": TOKENS.index(text),
            "content": text,
            "special": text != "aa",
            "normalized": False,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
        }
        for text in ("aa", "<s>", "</s>", "[CLS]", "[SEP]")
    ]
    return hf.Tokenizer.from_str(
        json.dumps(
            {
                "version": "1.0",
                "truncation": None,
                "padding": None,
                "added_tokens": sorted(added, key=lambda a: a["id"]),
                "normalizer": None,
                "pre_tokenizer": {"type": "CharDelimiterSplit", "delimiter": "~"},
                "post_processor": post_processor,
                "decoder": decoder,
                "model": {
                    "type": "WordLevel",
                    "vocab": {t: i for i, t in enumerate(TOKENS)},
                    "unk_token": "<unk>",
                },
            }
        )
    )


IS_SPECIAL = [t in ("<s>", "</s>", "[CLS]", "[SEP]") for t in TOKENS]


def random_step(rng: random.Random) -> dict[str, Any]:
    char = rng.choice(["a", " ", "▁", "é", "語", "\ufffd"])
    flags = {k: rng.random() < 0.5 for k in ("add_prefix_space", "trim_offsets", "use_regex")}
    return rng.choice(
        [
            {"type": "ByteLevel", **flags},
            {
                "type": "WordPiece",
                "prefix": rng.choice(["##", "", "a"]),
                "cleanup": flags["use_regex"],
            },
            {
                "type": "Metaspace",
                "replacement": rng.choice(["▁", "_", "a", " "]),
                "prepend_scheme": rng.choice(["always", "never", "first"]),
                "split": flags["use_regex"],
            },
            {"type": "BPEDecoder", "suffix": rng.choice(["</w>", "", "a"])},
            {"type": "ByteFallback"},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Fuse"},
            {
                "type": "Strip",
                "content": char,
                "start": rng.randrange(3),
                "stop": rng.randrange(3),
            },
            {
                "type": "Replace",
                "pattern": {"String": rng.choice(["▁", "a", "aa", "", " ", "##", "é", "<0x61>"])},
                "content": rng.choice([" ", "", "aaa", "▁", "<0x61>", "é"]),
            },
            {
                "type": "Replace",
                "pattern": {"Regex": rng.choice(["a+", "a*", "▁|##", r"\s+$", "", "^.", "(?i:É)"])},
                "content": rng.choice([" ", "", "aaa", "▁", "<0x61>", "é"]),
            },
            {
                "type": "CTC",
                "pad_token": rng.choice(["<pad>", "a", ""]),
                "word_delimiter_token": rng.choice(["|", "a", " ", ""]),
                "cleanup": flags["use_regex"],
            },
        ]
    )


LLAMA = [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0},
]


def random_decoder(rng: random.Random) -> Any:
    kind = rng.random()
    if kind < 0.03:
        return None
    if kind < 0.35:
        return random_step(rng)
    if kind < 0.55:  # around the one that most models use
        steps = list(LLAMA)
        if rng.random() < 0.5:
            steps[3] = {"type": "Strip", "content": " ", "start": rng.randrange(3), "stop": 1}
        if rng.random() < 0.3:
            del steps[rng.randrange(4)]
        if rng.random() < 0.3:
            steps.insert(rng.randrange(len(steps) + 1), random_step(rng))
        return {"type": "Sequence", "decoders": steps}
    steps = [random_step(rng) for _ in range(rng.randrange(5))]
    if rng.random() < 0.2:
        steps.append({"type": "Sequence", "decoders": [random_step(rng)]})
    return {"type": "Sequence", "decoders": steps}


def random_ids(rng: random.Random) -> list[int]:
    words = list(range(len(TOKENS)))
    kind = rng.random()
    if kind < 0.3:  # byte tokens in a row
        words = [i for i, t in enumerate(TOKENS) if t.startswith("<0x")] + [0]
    elif kind < 0.5:  # few, so that they repeat
        words = rng.sample(words, 3)
    return [rng.choice(words) for _ in range(rng.randrange(14))]


def decode_theirs(theirs: hf.Tokenizer, ids: list[int], skip: bool) -> str | None:
    """None where their Strip panics: a text shorter than what it may strip at the end."""
    try:
        return str(theirs.decode(ids, skip_special_tokens=skip))
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return None


def check_random_decoders(seed: int, num_decoders: int, lists_each: int) -> tuple[int, int]:
    """Compares; returns how many decoders follow ids one by one and how many lists were tried."""
    rng = random.Random(seed)
    num_following = num_lists = 0
    for _ in range(num_decoders):
        component = random_decoder(rng)
        text = json.dumps(component)
        theirs = theirs_with(component)
        ours = TokenBytes.build(TOKENS, IS_SPECIAL, text)
        num_following += ours.follows_ids
        for _ in range(lists_each):
            ids = random_ids(rng)
            skip = rng.random() < 0.5
            want = decode_theirs(theirs, ids, skip)
            if want is None:
                continue
            assert ours.decode(ids, skip) == want, (component, ids)
            stream = ours.stream(skip)
            pieces = [*(stream.push(i) for i in ids), stream.finish()]
            assert "".join(pieces) == want, (component, ids, pieces)
            kept = [TOKENS[i] for i in ids if not (skip and IS_SPECIAL[i])]
            assert decode_tokens(text, kept) == want, (component, ids)
            num_lists += 1
    return num_following, num_lists


def test_random_decoders() -> None:
    num_following, _ = check_random_decoders(seed=0, num_decoders=400, lists_each=20)
    assert num_following > 150


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "mistral03", "bert_base_cased"])
def test_random_ids_of_real_vocabularies(name: str) -> None:
    path = FIXTURES / "models" / f"tokenizers.{name}.json"
    if not path.exists():
        pytest.skip("no fixtures: set LLMCORE_FIXTURES")
    check_random_ids_of_file(path, seed=1, num_lists=100)


def check_random_ids_of_file(path: Path, seed: int, num_lists: int) -> None:
    theirs = hf.Tokenizer.from_file(str(path))
    tokens = [theirs.id_to_token(i) or "" for i in range(theirs.get_vocab_size())]
    added = theirs.get_added_tokens_decoder()
    is_special = [i in added and added[i].special for i in range(len(tokens))]
    decoder = json.loads(theirs.to_str())["decoder"]
    ours = TokenBytes.build(tokens, is_special, json.dumps(decoder))
    assert ours.follows_ids
    rng = np.random.default_rng(seed)
    for i in range(num_lists):
        high = len(tokens) if i % 2 else 400  # low ids: bytes and special tokens
        ids = rng.integers(0, high, size=int(rng.integers(0, 2000)), dtype=np.uint32)
        skip = bool(i % 3 == 0)
        want = theirs.decode(ids.tolist(), skip_special_tokens=skip)
        assert ours.decode(ids, skip) == want
        assert ours.decode(ids.tolist(), skip) == want
        stream = ours.stream(skip)
        assert "".join([*(stream.push(i) for i in ids.tolist()), stream.finish()]) == want


# SentencePiece.


def piece_decoder(
    model: spm.SentencePieceProcessor, *, dummy: bool, squeeze: bool, **more: str
) -> str:
    ids = range(model.get_piece_size())
    return json.dumps(
        {
            "type": "SentencePiece",
            "add_dummy_prefix": dummy,
            "remove_extra_whitespaces": squeeze,
            "byte_fallback": any(model.is_byte(i) for i in ids),
            "unknown": model.id_to_piece(model.unk_id()),
            "control": [model.id_to_piece(i) for i in ids if model.is_control(i)],
            **more,
        }
    )


def check_pieces(
    model: spm.SentencePieceProcessor, decoder: str, seed: int, num_lists: int
) -> None:
    size = model.get_piece_size()
    tokens = [model.id_to_piece(i) for i in range(size)]
    ours = TokenBytes.build(tokens, [], decoder)
    assert ours.follows_ids
    rng = random.Random(seed)
    marks = [i for i, t in enumerate(tokens) if not t.strip("▁")]
    odd = [*range(min(size, 12)), *marks, *(i for i in range(size) if model.is_byte(i))]
    for _ in range(num_lists):
        words = odd if rng.random() < 0.7 else range(size)
        ids = [rng.choice(words) for _ in range(rng.randrange(12))]
        want = model.decode(ids)
        assert ours.decode(ids, False) == want, ids
        assert decode_tokens(decoder, [tokens[i] for i in ids]) == want, ids
        stream = ours.stream(False)
        assert "".join([*(stream.push(i) for i in ids), stream.finish()]) == want, ids


@pytest.mark.parametrize(
    ("name", "squeeze"), [("llama2", False), ("nai-t5", True), ("botchan_unigram", True)]
)
def test_real_sentencepiece_models(name: str, squeeze: bool) -> None:
    path = FIXTURES / "models" / f"sentencepiece.{name}.model"
    if not path.exists():
        pytest.skip("no fixtures: set LLMCORE_FIXTURES")
    model = spm.SentencePieceProcessor(model_file=str(path))
    check_pieces(model, piece_decoder(model, dummy=True, squeeze=squeeze), 2, 2000)


@pytest.mark.parametrize("dummy", [False, True])
@pytest.mark.parametrize("squeeze", [False, True])
@pytest.mark.parametrize("byte_fallback", [False, True])
def test_trained_sentencepiece_models(dummy: bool, squeeze: bool, byte_fallback: bool) -> None:
    file = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(["the cat  sat on the   mat", "日本語 the naïve cat"] * 40),
        model_writer=file,
        model_type="bpe",
        vocab_size=320 if byte_fallback else 60,
        hard_vocab_limit=False,
        add_dummy_prefix=dummy,
        remove_extra_whitespaces=squeeze,
        byte_fallback=byte_fallback,
        user_defined_symbols=["▁▁", "<x>", "▁"],
        control_symbols=["<c>"],
        unk_surface="?▁",
        minloglevel=2,
    )
    model = spm.SentencePieceProcessor(model_proto=file.getvalue())
    decoder = piece_decoder(model, dummy=dummy, squeeze=squeeze, unk_surface="?▁")
    check_pieces(model, decoder, 3, 1000)


# Post-processors.


def random_processor(rng: random.Random, depth: int = 0) -> dict[str, Any]:
    flags = {k: rng.random() < 0.5 for k in ("add_prefix_space", "trim_offsets")}
    pair = {
        "sep": ["[SEP]", TOKENS.index("[SEP]")],
        "cls": ["[CLS]", TOKENS.index("[CLS]")],
    }
    kind = rng.randrange(5 if depth == 0 else 4)
    if kind == 0:
        return {"type": "ByteLevel", **flags, "use_regex": True}
    if kind == 1:
        return {"type": "BertProcessing", **pair}
    if kind == 2:
        return {"type": "RobertaProcessing", **pair, **flags}
    if kind == 3:
        return random_template(rng)
    # Their templates panic after a step that gives more than two encodings: at most one, last.
    steps = [random_processor(rng, 1) for _ in range(rng.randrange(4))]
    templates = [s for s in steps if s["type"] == "TemplateProcessing"]
    others = [s for s in steps if s["type"] != "TemplateProcessing"]
    tail = others[:1] if rng.random() < 0.5 else []
    return {"type": "Sequence", "processors": others[len(tail) :] + templates[:1] + tail}


def random_template(rng: random.Random) -> dict[str, Any]:
    specials = {
        "[CLS]": [TOKENS.index("[CLS]")],
        "[SEP]": [TOKENS.index("[SEP]")],
        "many": [TOKENS.index("<s>"), TOKENS.index("</s>")],
    }

    def piece(sequences: str) -> dict[str, Any]:
        type_id = rng.randrange(3)
        if rng.random() < 0.5:
            return {"Sequence": {"id": rng.choice(sequences), "type_id": type_id}}
        return {"SpecialToken": {"id": rng.choice(list(specials)), "type_id": type_id}}

    return {
        "type": "TemplateProcessing",
        "single": [piece("A") for _ in range(rng.randrange(1, 5))],
        "pair": [piece("AB") for _ in range(rng.randrange(1, 6))],
        "special_tokens": {
            name: {"id": name, "ids": ids, "tokens": [TOKENS[i] for i in ids]}
            for name, ids in specials.items()
        },
    }


def random_text(rng: random.Random) -> str:
    words = [t for t in TOKENS if "~" not in t]
    return "~".join(rng.choice(words) for _ in range(rng.randrange(7)))


def check_random_processors(seed: int, num_processors: int, texts_each: int) -> None:
    rng = random.Random(seed)
    plain = theirs_with(None)
    for _ in range(num_processors):
        component = random_processor(rng)
        theirs = theirs_with(None, component)
        ours = PostProcessor.build(json.dumps(component), TOKENS)
        for _ in range(texts_each):
            first = random_text(rng)
            second = random_text(rng) if rng.random() < 0.5 else None
            adds = rng.random() < 0.7
            want = theirs.encode(first, second, add_special_tokens=adds)
            inputs = [plain.encode(t) for t in (first, second) if t is not None]
            ids = [e.ids for e in inputs]
            spans = [e.offsets for e in inputs]
            got = ours.process(
                ids[0],
                ids[1] if second is not None else None,
                spans[0],
                spans[1] if second is not None else None,
                adds,
            )
            case = (component, first, second, adds)
            assert got[0] == want.ids, case
            assert got[1] == want.type_ids, case
            assert got[2] == want.special_tokens_mask, case
            assert got[3] == want.offsets, case


def test_random_post_processors() -> None:
    check_random_processors(seed=4, num_processors=200, texts_each=20)

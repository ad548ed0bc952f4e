"""`Tokenizer.train` and `Tokenizer.extend`: options, splits, saved files, old ids."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from llmcore.errors import ConfigError, DataError
from llmcore.tokenizers import Tokenizer, WordCounts, counts_for

TEXT = "the cat sat on the mat; the dog's bowl isn't here.\n\n    x = 12 + y  # naïve 日本語\n"
RNG = random.Random(11)
WORDS = ["".join(RNG.choices("abcdeé日本", k=RNG.randint(1, 9))) for _ in range(500)]
OLD = [" ".join(RNG.choices(WORDS[:250], k=30)) for _ in range(200)]
NEW = [" ".join(RNG.choices(WORDS[250:], k=30)) + " ñ語\n" for _ in range(200)]

KINDS: dict[str, dict[str, Any]] = {
    "bytes": {},
    "bytes, llama3": {"pattern": "llama3", "normalizer": "NFC"},
    "characters": {"byte_level": False, "unk_token": "<unk>"},
    "byte fallback": {"byte_level": False, "byte_fallback": True},
    "suffix": {
        "byte_level": False,
        "pre_tokenizer": "WhitespaceSplit",
        "end_of_word_suffix": "</w>",
        "unk_token": "<unk>",
    },
    "prefix": {
        "byte_level": False,
        "pre_tokenizer": "WhitespaceSplit",
        "continuing_subword_prefix": "##",
        "unk_token": "<unk>",
    },
}


def trained(kind: str, texts: list[str], vocab_size: int = 450) -> Tokenizer:
    return Tokenizer.train(texts, vocab_size=vocab_size, special_tokens=["<s>"], **KINDS[kind])


def spec_of(tokenizer: Tokenizer) -> dict[str, Any]:
    return tokenizer._pipeline.spec.to_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_encodes_decodes_and_is_saved(kind: str, tmp_path: Path) -> None:
    tokenizer = trained(kind, OLD)
    text = OLD[0]
    ids = tokenizer.encode(text)
    assert len(ids) < len(text.encode())
    assert tokenizer.decode(ids) == text
    again = Tokenizer.load(tokenizer.save(tmp_path))
    assert again.encode(text) == ids
    assert spec_of(again)["merges"] == spec_of(tokenizer)["merges"]
    assert tokenizer.special_tokens["<s>"] in (0, 1)


def test_no_byte_is_lost_to_byte_fallback() -> None:
    tokenizer = trained("byte fallback", OLD, 600)
    text = "unseen: ß 😀 \x00 日"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.id_to_token(1) == "<0x00>" and tokenizer.id_to_token(256) == "<0xFF>"


def test_ties_by_ids_bytes_and_length() -> None:
    # "\x01" comes behind "a" in the alphabet and before it in bytes.
    source = ["\x01b", "ad", "ac"]
    merges = {
        tie: [
            "".join(spec["tokens"][i] for i in pair)
            for spec in [
                spec_of(
                    Tokenizer.train(
                        source, vocab_size=259, tie_break=tie, pattern=r"[\s\S]+", num_threads=1
                    )
                )
            ]
            for pair in spec["merges"]
        ]
        for tie in ("ids", "bytes", "shortest")
    }
    assert merges["ids"] == ["ac", "ad", "āb"]
    assert merges["bytes"] == merges["shortest"] == ["āb", "ac", "ad"]


def test_shortest_union_first() -> None:
    # After "ab", the pairs (ab, c) and (d, e) stand equally often.
    source = ["abc", "abc", "abx", "de", "de"]
    options: dict[str, Any] = {"byte_level": False, "pre_tokenizer": "Whitespace"}
    for tie, last in (("bytes", "abc"), ("shortest", "de")):
        alphabet = len(set("abcxde"))
        tokenizer = Tokenizer.train(source, vocab_size=alphabet + 2, tie_break=tie, **options)
        assert tokenizer.id_to_token(alphabet) == "ab"
        assert tokenizer.id_to_token(alphabet + 1) == last


def test_no_token_reaches_max_token_length() -> None:
    tokenizer = Tokenizer.train(["abcdefgh " * 50], vocab_size=400, max_token_length=5)
    lengths = [len(tokenizer.id_to_bytes(i)) for i in range(tokenizer.vocab_size)]
    assert max(lengths) == 4


def test_the_alphabet_of_characters() -> None:
    texts = ["aaaa bbb cc d é"]
    options: dict[str, Any] = {"byte_level": False, "pre_tokenizer": "Whitespace"}

    def alphabet(**more: Any) -> set[str]:
        tokens = spec_of(Tokenizer.train(texts, vocab_size=40, **options, **more))["tokens"]
        return {token for token in tokens if len(token) == 1}

    assert alphabet() == set("abcdé")
    assert alphabet(limit_alphabet=3) == set("abc")
    assert alphabet(character_coverage=0.6) == set("ab")
    assert alphabet(initial_alphabet=["z", "é"], limit_alphabet=3) == set("zéa")


def test_no_merge_passes_a_character_that_is_not_covered() -> None:
    texts = ["aXb " * 3 + "aaaa bbbb " * 50]
    options: dict[str, Any] = {"byte_level": False, "pre_tokenizer": "Whitespace"}
    covered = Tokenizer.train(texts, vocab_size=40, character_coverage=0.99, **options)
    limited = Tokenizer.train(texts, vocab_size=40, limit_alphabet=2, **options)
    assert covered.token_to_id("ab") is None
    assert limited.token_to_id("ab") is not None  # as in tokenizers


def test_bytes_that_are_no_characters_end_words() -> None:
    tokenizer = Tokenizer.train(
        [b"ab\xffab\xff" * 9], vocab_size=40, byte_level=False, pre_tokenizer="Whitespace"
    )
    assert spec_of(tokenizer)["tokens"] == ["a", "b", "ab"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "surprise"}, "algorithm must be 'bpe'"),
        ({"surprise": 1}, "keywords of 'bpe' must be of .*, got 'surprise'"),
        ({"tie_break": "luck"}, "tie_break must be one of ids, bytes, shortest, got 'luck'"),
        ({"max_token_length": 0}, "max_token_length must be at least 1"),
        ({"limit_alphabet": 5}, "limit_alphabet must go with byte_level=False"),
        ({"byte_fallback": True}, "byte_fallback must go with byte_level=False"),
        ({"unk_token": "<unk>"}, "unk_token must go with byte_level=False"),
        ({"character_coverage": 0.9}, "character_coverage must go with byte_level=False"),
        ({"byte_level": False, "character_coverage": 0.0}, r"must be in \(0, 1\], got 0.0"),
        ({"byte_level": False, "limit_alphabet": 0}, "limit_alphabet must be at least 1"),
        ({"byte_level": False, "vocab_size": 3}, "vocab_size must be at least .* got 3"),
        (
            {"sentencepiece": True, "tie_break": "bytes"},
            "tie_break must go with sentencepiece=False",
        ),
        ({"sentencepiece": True, "pattern": "gpt2"}, "must go without another split"),
        ({"sentencepiece": True, "normalizer": "NFC"}, "normalizer must be of type SentencePiece"),
        ({"split_digits": True}, "split_digits must go with sentencepiece=True"),
        ({"pattern": "gpt2", "pre_tokenizer": "Whitespace"}, "must not both be given"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Tokenizer.train([TEXT], **({"vocab_size": 300} | options))
    assert "\n" not in str(caught.value)


def test_nothing_is_read_for_options_that_cannot_be() -> None:
    def texts() -> Any:
        raise AssertionError("read")
        yield ""

    with pytest.raises(ConfigError, match="vocab_size"):
        Tokenizer.train(texts(), vocab_size=3)


@pytest.mark.parametrize(
    ("algorithm", "vocab_size"), [("bpe", 300), ("wordpiece", 300), ("unigram", 150)]
)
def test_parts_counted_apart_train_the_same(algorithm: str, vocab_size: int) -> None:
    whole = Tokenizer.train(OLD, vocab_size=vocab_size, algorithm=algorithm, num_threads=1)
    parts = counts_for(algorithm).count(OLD[::2]).merge(counts_for(algorithm).count(OLD[1::2]))
    merged = Tokenizer.train(parts, vocab_size=vocab_size, algorithm=algorithm, num_threads=2)
    assert spec_of(merged) == spec_of(whole)


def test_counts_made_another_way_are_refused() -> None:
    with pytest.raises(ConfigError, match="normalizer of the counts must be"):
        Tokenizer.train(counts_for("wordpiece").count(OLD), vocab_size=300, algorithm="unigram")
    with pytest.raises(ConfigError, match="pre_tokenizer of the counts must be"):
        Tokenizer.train(counts_for("bpe").count(OLD), vocab_size=300, pattern="llama3")
    with pytest.raises(ConfigError, match="algorithm must be"):
        counts_for("bytes")


def test_training_on_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT * 5)
    (tmp_path / "b.jsonl").write_text(json.dumps({"body": TEXT * 3}))
    got = Tokenizer.train(tmp_path, vocab_size=300, text_field="body")
    want = Tokenizer.train([TEXT * 5, TEXT * 3], vocab_size=300)
    assert spec_of(got) == spec_of(want)
    assert spec_of(Tokenizer.train(str(tmp_path), vocab_size=300, text_field="body")) == spec_of(
        want
    )


def test_sentencepiece_style(tmp_path: Path) -> None:
    tokenizer = Tokenizer.train(
        OLD, vocab_size=550, sentencepiece=True, byte_fallback=True, special_tokens=["<pad>"]
    )
    pieces = [tokenizer.id_to_token(i) for i in range(550)]
    assert pieces[:5] == ["<unk>", "<s>", "</s>", "<pad>", "<0x00>"]
    characters = set("▁" + "".join(OLD).replace(" ", ""))
    assert set(pieces[-len(characters) :]) == characters
    assert all(len(piece) > 1 for piece in pieces[260 : -len(characters)])
    text = OLD[0] + " 😀"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    again = Tokenizer.load(tokenizer.save(tmp_path / "a.model", "sentencepiece"))
    assert again.encode(text) == tokenizer.encode(text)
    assert spec_of(again)["scores"] == spec_of(tokenizer)["scores"]
    new = tokenizer.extend(NEW, vocab_size=600)
    assert spec_of(new)["tokens"][:550] == spec_of(tokenizer)["tokens"]
    assert spec_of(new)["scores"][:550] == spec_of(tokenizer)["scores"]
    assert len(new.encode(NEW[0])) < len(tokenizer.encode(NEW[0]))
    model = Tokenizer.load(new.save(tmp_path / "b.model", "sentencepiece"))
    assert model.encode(NEW[0]) == new.encode(NEW[0])


def test_pieces_of_one_script_and_length() -> None:
    texts = ["abc12 日本語abc かな漢字 x1 " * 20]

    def pieces(**options: Any) -> set[str]:
        spec = spec_of(Tokenizer.train(texts, vocab_size=60, sentencepiece=True, **options))
        return set(spec["tokens"])

    assert {"▁abc", "12", "▁日本語"} < pieces()
    assert not {"c1", "語a", "x1"} & pieces()
    assert "▁x1" in pieces(split_by_number=False)
    assert "▁日本語abc" in "".join(pieces(split_by_unicode_script=False))
    assert "12" not in pieces(split_digits=True)
    assert max(map(len, pieces(max_token_length=2) - {"<unk>", "<s>", "</s>"})) == 2


# --- extend -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_extending_keeps_every_old_id_and_merge(kind: str, tmp_path: Path) -> None:
    old = trained(kind, OLD)
    new = old.extend(NEW, vocab_size=520)
    before, after = spec_of(old), spec_of(new)
    assert old.vocab_size < new.vocab_size == 520
    assert after["tokens"][: old.vocab_size] == before["tokens"]
    assert after["merges"][: len(before["merges"])] == before["merges"]
    assert after["added"] == before["added"]
    assert len(new.encode(NEW[0])) < len(old.encode(NEW[0]))
    assert new.decode(new.encode(NEW[0])).split() == NEW[0].split()
    assert len(set(filter(None, after["tokens"]))) == 520
    assert Tokenizer.load(new.save(tmp_path)).encode(NEW[0]) == new.encode(NEW[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tie_break", ["ids", "bytes"])
def test_extending_on_the_same_text_goes_on_where_training_stopped(
    kind: str, tie_break: str
) -> None:
    options = KINDS[kind] | {"tie_break": tie_break}
    least = 300 if kind == "byte fallback" else 280
    short = Tokenizer.train(OLD, vocab_size=least, **options)
    whole = Tokenizer.train(OLD, vocab_size=400, **options)
    assert spec_of(short.extend(OLD, vocab_size=400, tie_break=tie_break)) == spec_of(whole)


@pytest.mark.parametrize("num_threads", [1, 3])
def test_extending_in_parts_and_by_threads(num_threads: int) -> None:
    old = trained("bytes", OLD)
    parts = WordCounts(num_threads=num_threads).count(NEW[::2])
    parts.merge(WordCounts().count(NEW[1::2]))
    want = spec_of(old.extend(NEW, vocab_size=520, num_threads=1))
    assert spec_of(old.extend(parts, vocab_size=520)) == want


def test_no_new_merge_spells_an_added_token() -> None:
    old = Tokenizer.train([TEXT], vocab_size=300, special_tokens=["<s>", "zq"])
    new = old.extend(["zq zq <s><s>" * 50], vocab_size=310)
    assert new.vocab_size > old.vocab_size
    assert not {0, 1} & set(new.encode("zq <s>"))
    assert new.encode("zq", allowed_special="all") == [1]


def test_new_ids_lie_behind_added_tokens_beyond_the_vocabulary(tmp_path: Path) -> None:
    ranks = Tokenizer.train(OLD, vocab_size=300).save(tmp_path / "ranks", "tiktoken")
    old = Tokenizer.load(ranks, pattern="gpt2", special_tokens={"<far>": 310})
    new = old.extend(NEW, vocab_size=320)
    assert new.special_tokens == old.special_tokens
    assert new.vocab_size == 320 and new.id_to_token(310) == "<far>"
    assert all(new.id_to_token(i) for i in range(311, 320))
    assert len(new.encode(NEW[0])) < len(old.encode(NEW[0]))


def test_new_characters_get_ids_unless_refused() -> None:
    old = trained("byte fallback", OLD, 400)
    new = old.extend(NEW, vocab_size=450)
    assert old.token_to_id("ñ") is None and new.token_to_id("ñ") is not None
    assert new.token_to_id("\n") is None  # a byte already
    assert old.extend(NEW, vocab_size=450, character_coverage=0.0).token_to_id("ñ") is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocab_size": 450}, "vocab_size must be above the present 450, got 450"),
        ({"vocab_size": 500, "tie_break": "luck"}, "tie_break must be one of"),
        ({"vocab_size": 500, "pattern": "gpt2"}, "must be split as the tokenizer does"),
        ({"vocab_size": 500, "byte_level": False}, "keywords must be of"),
        ({"vocab_size": 500, "character_coverage": 2.0}, r"must be in \[0, 1\], got 2.0"),
    ],
)
def test_extensions_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        trained("bytes", OLD).extend(NEW, **options)


def test_extending_with_no_text_or_other_counts() -> None:
    old = trained("bytes", OLD)
    with pytest.raises(DataError, match="source must hold text"):
        old.extend([], vocab_size=500)
    with pytest.raises(ConfigError, match="merge: pre_tokenizer must be"):
        old.extend(WordCounts(pattern="llama3").count(NEW), vocab_size=500)

"""Texts of every kind that a tokenizer meets, made of what each machine has and of a seed."""

import pydoc_data.topics
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path

EMOJI = "😀👩‍👩‍👧🏽🇩🇪©️®‍™👍🏿❤️🧑🏻‍🚀🏴‍☠️"
ARABIC = "كان يا ما كان في قديم الزمان ، الْعَرَبِيَّةُ ﷺ ١٢٣٤ ؟ سلامٌ عليكم "
JAPANESE = "吾輩は猫である。名前はまだ無い。ｶﾀｶﾅとカタカナ、１２３「ガ゙」々〆ヵヶ \u3000"
SCRIPTS = "हिन्दी क़ख़ ไทยำน้ำ བོད 한국어 각 עִבְרִית Ελληνικά ΣΑΣ ς Русский ёЁ Tiếng Việt İıſß ǆ ﬁﬀ①½㍿ "
CONTROLS = "".join(map(chr, [*range(32), *range(127, 160), 0xAD, *range(0x200B, 0x2010), 0xFEFF]))
SPACES = " \t\n\r\x0b\x0c\x85\xa0\u1680\u2003\u2028\u2029\u202f\u3000"
MARKUP = ["</s>", "<s>", "<unk>", "<0x0A>", "<|endoftext|>", "[CLS]", "[MASK]", "▁", "##ing", "Ġ"]


def mixed_texts(corpora: Path, seed: int, num_bytes: int) -> Iterator[bytes]:
    """Texts of up to 16 kB, of `num_bytes` together: English, code, Japanese, Arabic, emoji,
    control characters, all code points, and UTF-8 with broken bytes.

    Args:
        corpora: Folder of the shared corpora.
        seed: Equal seeds give equal texts on one machine.
        num_bytes: Sum of the lengths, rounded up to whole texts.
    """
    rng = random.Random(seed)
    pools = _pools(corpora)
    done = 0
    while done < num_bytes:
        text = b"".join(_part(rng, pools) for _ in range(rng.randrange(1, 5)))
        if rng.random() < 0.15:
            text = _broken(rng, text)
        done += len(text)
        yield text


def _pools(corpora: Path) -> list[str]:
    english = (corpora / "botchan.txt").read_text(encoding="utf-8")
    maths = (corpora / "gsm8k_train.jsonl").read_text(encoding="utf-8")
    japanese = (corpora / "wagahaiwa_nekodearu.txt").read_text(encoding="utf-8")
    chinese = (corpora / "self_instruct_zh_seed_tasks.json").read_text(encoding="utf-8")
    folder = Path(sysconfig.get_path("stdlib"))
    files = sorted(folder.glob("*.py")) + sorted(folder.glob("asyncio/*.py"))
    code = "".join(f.read_text(encoding="utf-8", errors="replace") for f in files)
    manual = "\n".join(pydoc_data.topics.topics.values())
    return [english, maths, japanese, chinese, code, code, manual]


def _part(rng: random.Random, pools: list[str]) -> bytes:
    if rng.random() < 0.8:
        pool = rng.choice(pools)
        begin = rng.randrange(len(pool))
        text = pool[begin : begin + rng.randrange(1, 4000)]
    else:
        text = _made_up(rng)
    return text.encode("utf-8", "replace")


def _made_up(rng: random.Random) -> str:
    size = rng.randrange(1, 300)
    match rng.randrange(7):
        case 0:
            return "".join(rng.choices(EMOJI + " a", k=size))
        case 1:
            return "".join(rng.choices(ARABIC, k=size)) + ARABIC * rng.randrange(3)
        case 2:
            return "".join(rng.choices(CONTROLS + "ab \n", k=size))
        case 3:
            return "".join(chr(_code_point(rng)) for _ in range(size))
        case 4:
            return "".join(rng.choices(SPACES, k=size)) + rng.choice("xX1.'日") * (size % 40)
        case 5:
            words = [*MARKUP, "a", " ", "'s", "'LL", "1234567", "\r\n", "İ", "e\u0301", "!!!"]
            return "".join(rng.choices(words, k=size))
        case _:
            return "".join(rng.choices(SCRIPTS + JAPANESE, k=size))


def _code_point(rng: random.Random) -> int:
    """Any but surrogates, most of them of the basic plane."""
    code = rng.randrange(0x10000 if rng.random() < 0.7 else 0x110000)
    return code if not 0xD800 <= code < 0xE000 else code - 0x1000


def _broken(rng: random.Random, text: bytes) -> bytes:
    damaged = bytearray(text)
    for _ in range(rng.randrange(1, 20)):
        at = rng.randrange(len(damaged) + 1)
        damaged[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
    return bytes(damaged)

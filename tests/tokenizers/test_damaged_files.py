"""Damaged files of every format are refused by one line, or can be written again."""

import random

import pytest

from llmcore import _bindings
from llmcore.errors import ConfigError, DataError
from tests.support.tokenizer_files import SAMPLES, WRITERS, read


def use(data: bytes) -> None:
    """A file either is refused by a message, or reads as something that can be written."""
    try:
        spec = read(data)
    except (DataError, ConfigError) as error:
        assert str(error) and "\n" not in str(error)
        return
    for name in (*WRITERS, "merges.txt", "llmcore"):
        try:
            _bindings.write_tokenizer(spec, name)
        except DataError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("sample", SAMPLES)
def test_truncated_files(sample: str) -> None:
    data = SAMPLES[sample]
    for part in range(64):
        use(data[: len(data) * part // 64])


def mutate(data: bytes, dice: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(out))
        match dice.randrange(6):
            case 0:
                out[at] ^= 1 << dice.randrange(8)
            case 1:
                out[at] = dice.randrange(256)
            case 2:
                out[at : at + 8] = b"\xff" * 8
            case 3:
                del out[at : at + dice.randint(1, 16)]
            case 4:
                out[at:at] = out[at : at + dice.randint(1, 32)]
            case _:
                words = (b"null", b"1e999", b"-1", b'""', b"[", b"{", b"4294967295", b"\\ud800")
                out[at:at] = dice.choice(words)
        if not out:
            return b""
    return bytes(out)


@pytest.mark.parametrize("sample", SAMPLES)
def test_mutated_files(sample: str) -> None:
    dice = random.Random(sample)
    for _ in range(400):
        use(mutate(SAMPLES[sample], dice))

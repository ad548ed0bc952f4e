"""Resident memory grows with what is held."""

from llmcore.training.memory import resident_mb


def test_a_held_array_shows():
    before = resident_mb()
    held = bytearray(b"x" * 64 * 2**20)
    assert 40 < resident_mb() - before < 120
    assert len(held) == 64 * 2**20

"""Preference pairs: deterministic, both styles for one request, held-out side apart."""

from llmcore.data.preferences import style_pairs
from llmcore.data.skills.manners import NAMES, OCCASIONS


def names_in(pairs) -> set[str]:
    return {name for pair in pairs for name in NAMES if name in pair.prompt.split(".")[0].split()}


def test_the_same_seed_gives_the_same_pairs():
    assert style_pairs(num_pairs=50, seed=1, held_out=False) == style_pairs(
        num_pairs=50, seed=1, held_out=False
    )
    assert style_pairs(num_pairs=50, seed=1, held_out=False) != style_pairs(
        num_pairs=50, seed=2, held_out=False
    )


def test_held_out_names_and_wordings_are_never_trained_on():
    train = style_pairs(num_pairs=3000, seed=0, held_out=False)
    held_out = style_pairs(num_pairs=400, seed=0, held_out=True)
    assert names_in(train)
    assert names_in(held_out)
    assert not names_in(train) & names_in(held_out)
    assert not wordings(train) & wordings(held_out)


def wordings(pairs) -> set[str]:
    found = set()
    for pair in pairs:
        words = [("{name}" if w.strip(".") in NAMES else w) for w in pair.prompt.split()]
        found.add(" ".join(words))
    return found


def test_occasions_take_turns():
    pairs = style_pairs(num_pairs=4 * len(OCCASIONS), seed=0, held_out=True)
    assert [p.occasion for p in pairs] == list(OCCASIONS) * 4
    assert all(p.warm != p.flat for p in pairs)

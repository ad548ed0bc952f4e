"""The skills, from copying (easy for a small model) to spelling and arithmetic (too hard)."""

import random
from collections.abc import Sequence

from llmcore.data.skills.skill import Instance, Skill

_POLITE = ("", "please", "kindly", "now", "hey,")
_GIVE = ("give", "return", "write", "show", "print", "tell me")
_LIST_END = ("of this list:", "in the list:", "of the items below:", "from this row:")
_SEPARATORS = {"dash": "-", "plus": "+", "slash": "/", "colon": ":", "star": "*", "dot": "."}


def _draw(rng: random.Random, words: Sequence[str], low: int, high: int) -> list[str]:
    return rng.sample(words, rng.randint(low, high))


def _repeat(rng: random.Random, words: Sequence[str]) -> Instance:
    text = ",".join(_draw(rng, words, 2, 4))
    return Instance(text=text, answer=text)


def _first(rng: random.Random, words: Sequence[str]) -> Instance:
    items = _draw(rng, words, 3, 5)
    return Instance(text=",".join(items), answer=items[0])


def _last(rng: random.Random, words: Sequence[str]) -> Instance:
    items = _draw(rng, words, 3, 5)
    return Instance(text=",".join(items), answer=items[-1])


def _swap(rng: random.Random, words: Sequence[str]) -> Instance:
    left, right = rng.sample(words, 2)
    return Instance(text=f"{left},{right}", answer=f"{right},{left}")


def _join(rng: random.Random, words: Sequence[str]) -> Instance:
    items = _draw(rng, words, 2, 4)
    name = rng.choice(list(_SEPARATORS))
    return Instance(
        text=",".join(items), answer=_SEPARATORS[name].join(items), slots={"separator": name}
    )


def _python_list(rng: random.Random, words: Sequence[str]) -> Instance:
    items = _draw(rng, words, 2, 4)
    return Instance(text=",".join(items), answer="['" + "','".join(items) + "']")


def _call(rng: random.Random, words: Sequence[str]) -> Instance:
    name, *arguments = _draw(rng, words, 2, 4)
    return Instance(text=",".join([name, *arguments]), answer=f"{name}({','.join(arguments)})")


def _after(rng: random.Random, words: Sequence[str]) -> Instance:
    items = _draw(rng, words, 3, 5)
    place = rng.randrange(len(items) - 1)
    return Instance(text=",".join(items), answer=items[place + 1], slots={"item": items[place]})


def _member(rng: random.Random, words: Sequence[str]) -> Instance:
    items = _draw(rng, words, 3, 5)
    inside = rng.random() < 0.5
    other = rng.choice([w for w in rng.sample(words, 8) if w not in items])
    item = rng.choice(items) if inside else other
    return Instance(text=",".join(items), answer="yes" if inside else "no", slots={"item": item})


def _count(rng: random.Random, words: Sequence[str]) -> Instance:
    items = _draw(rng, words, 1, 6)
    return Instance(text=",".join(items), answer=str(len(items)))


def _sort_digits(rng: random.Random, words: Sequence[str]) -> Instance:
    digits = [str(rng.randrange(10)) for _ in range(rng.randint(3, 5))]
    return Instance(text=" ".join(digits), answer=" ".join(sorted(digits)))


def _reverse(rng: random.Random, words: Sequence[str]) -> Instance:
    items = _draw(rng, words, 3, 4)
    return Instance(text=",".join(items), answer=",".join(reversed(items)))


def _upper(rng: random.Random, words: Sequence[str]) -> Instance:
    text = ",".join(rng.sample(words, 2))
    return Instance(text=text, answer=text.upper())


def _add(rng: random.Random, words: Sequence[str]) -> Instance:
    left, right = rng.randrange(100), rng.randrange(100)
    return Instance(text=f"{left} + {right}", answer=str(left + right))


SKILLS: tuple[Skill, ...] = (
    Skill(
        name="repeat",
        hard=False,
        make=_repeat,
        phrasing=(
            _POLITE,
            ("repeat", "copy", "echo", "say again", "write out again"),
            ("this line", "these words", "the text", "the line below", "what follows"),
            ("exactly:", "unchanged:", "as it is:", "word for word:"),
        ),
    ),
    Skill(
        name="first item",
        hard=False,
        make=_first,
        phrasing=(
            _POLITE,
            _GIVE,
            ("the first item", "the first word", "the first entry", "only the first one"),
            _LIST_END,
        ),
    ),
    Skill(
        name="last item",
        hard=False,
        make=_last,
        phrasing=(
            _POLITE,
            _GIVE,
            ("the last item", "the last word", "the last entry", "only the last one"),
            _LIST_END,
        ),
    ),
    Skill(
        name="swap two",
        hard=False,
        make=_swap,
        phrasing=(
            _POLITE,
            ("swap", "exchange", "switch", "flip"),
            ("these two words", "the two words", "this pair", "the two items", "both words"),
            ("around:", "in the pair:", "with each other:", "and write the result:"),
        ),
    ),
    Skill(
        name="join",
        hard=False,
        make=_join,
        phrasing=(
            _POLITE,
            ("join", "connect", "link", "glue together"),
            ("these words", "the words", "all the items", "the list"),
            ("with a {separator}:", "using a {separator}:", "by a {separator}:"),
            ("", "no spaces."),
        ),
    ),
    Skill(
        name="python list",
        hard=False,
        make=_python_list,
        phrasing=(
            _POLITE,
            ("write", "format", "show", "render"),
            ("these words", "the words", "the items", "this line"),
            ("as a Python list:", "as a list of strings:", "as a list in Python:", "as str list:"),
        ),
    ),
    Skill(
        name="python call",
        hard=False,
        make=_call,
        phrasing=(
            _POLITE,
            ("write", "format", "make", "build"),
            ("a function call", "a Python call", "a call expression"),
            ("from these names:", "out of the names:", "with this line:", "from the parts:"),
        ),
    ),
    Skill(
        name="item after",
        hard=False,
        make=_after,
        phrasing=(
            _POLITE,
            _GIVE,
            ("what comes after", "the item after", "the word following", "what follows"),
            ("{item}",),
            _LIST_END,
        ),
    ),
    Skill(
        name="membership",
        hard=False,
        make=_member,
        phrasing=(
            _POLITE,
            ("is {item}", "do you see {item}", "can you find {item}", "check whether {item} is"),
            ("in this list?", "in the list?", "among these items?", "among the words below?"),
            ("", "Answer yes or no.", "Say yes or no."),
        ),
    ),
    Skill(
        name="count",
        hard=False,
        make=_count,
        phrasing=(
            _POLITE,
            ("count", "give the number of", "tell me the number of", "find the number of"),
            ("items", "words", "entries"),
            _LIST_END,
        ),
    ),
    Skill(
        name="sort digits",
        hard=False,
        make=_sort_digits,
        phrasing=(
            _POLITE,
            ("sort", "order", "arrange"),
            ("these digits", "the digits", "the numbers", "this row of digits"),
            ("from low to high:", "in rising order:", "smallest first:", "upwards:"),
        ),
    ),
    Skill(
        name="reverse",
        hard=True,
        make=_reverse,
        phrasing=(
            _POLITE,
            ("reverse", "turn around", "write backwards"),
            ("the order of this list:", "the list:", "all the items:", "this row:"),
            ("", "Last one first."),
        ),
    ),
    Skill(
        name="upper case",
        hard=True,
        make=_upper,
        phrasing=(
            _POLITE,
            ("write", "print", "put", "show"),
            ("these words", "both words", "the names below"),
            ("in capitals:", "in upper case:", "in capital letters:", "all in caps:"),
        ),
    ),
    Skill(
        name="add",
        hard=True,
        make=_add,
        phrasing=(
            _POLITE,
            ("add", "sum up", "compute the sum of"),
            ("these numbers", "the two numbers", "both numbers"),
            ("", "and give the total:", "and show the result:"),
        ),
    ),
)

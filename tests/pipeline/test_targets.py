"""Each target is met exactly when its number says so."""

import copy

import pytest

from llmcore.pipeline.targets import check_targets, learned_skills


def chat(**skills: float) -> dict:
    return {
        "exact_match_by_skill": skills,
        "exact_match": sum(skills.values()) / len(skills),
        "preference_accuracy": 0.5,
        "kl_preferences_per_answer": 1.5,
    }


@pytest.fixture
def good() -> dict:
    after = {"a": 0.8, "b": 1.0, "c": 0.95, "d": 0.81, "e": 0.2}
    return {
        "language": {"bits_per_byte": 1.5, "ngram_bits_per_byte": 1.6},
        "data": {"num_exercises": 2000},
        "chat": {
            "pretrain": chat(a=0.0, b=0.09, c=0.0, d=0.0, e=0.0),
            "sft": chat(**after),
            "dpo": chat(**after) | {"preference_accuracy": 0.85},
        },
    }


def met(metrics: dict) -> dict[str, bool]:
    return {name: target["met"] for name, target in check_targets(metrics).items()}


def test_all_met(good):
    assert met(good) == dict.fromkeys(("language", "skills", "preferences", "retention"), True)
    assert learned_skills(good["chat"]) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("target", "path", "value"),
    [
        ("language", ("language", "bits_per_byte"), 1.6),
        ("skills", ("data", "num_exercises"), 1999),
        ("skills", ("chat", "sft", "exact_match_by_skill", "a"), 0.79),
        ("skills", ("chat", "pretrain", "exact_match_by_skill", "b"), 0.1),
        ("preferences", ("chat", "dpo", "preference_accuracy"), 0.84),
        ("preferences", ("chat", "sft", "preference_accuracy"), 0.7),
        ("preferences", ("chat", "sft", "preference_accuracy"), 0.3),
        ("retention", ("chat", "dpo", "exact_match"), 0.72),
    ],
)
def test_one_missed(good, target, path, value):
    metrics = copy.deepcopy(good)
    place = metrics
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert met(metrics) == {name: name != target for name in met(good)}

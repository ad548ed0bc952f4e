"""Skills: tasks with one right answer, from which the quickstart makes its instruction data."""

from llmcore.data.skills.build import Exercise, held_out_exercises, training_exercises
from llmcore.data.skills.catalog import SKILLS
from llmcore.data.skills.skill import Instance, Skill, is_held_out, render, split_words
from llmcore.data.skills.words import frequent_words, short_words

__all__ = [
    "SKILLS",
    "Exercise",
    "Instance",
    "Skill",
    "frequent_words",
    "held_out_exercises",
    "is_held_out",
    "render",
    "short_words",
    "split_words",
    "training_exercises",
]

"""Measurements on held-out data."""

from llmcore.evals.bits_per_byte import TextScore, score_documents
from llmcore.evals.config import EvalConfig
from llmcore.evals.exact_match import Answer, Question, answer_questions, exact_match
from llmcore.evals.kl import Divergence, answer_divergence
from llmcore.evals.ngram import NgramResult, ngram_baseline
from llmcore.evals.preference_accuracy import (
    PreferenceScore,
    answer_logprobs,
    preference_accuracy,
)
from llmcore.evals.questions import read_questions, write_questions
from llmcore.evals.run import run, score_texts

__all__ = [
    "Answer",
    "Divergence",
    "EvalConfig",
    "NgramResult",
    "PreferenceScore",
    "Question",
    "TextScore",
    "answer_divergence",
    "answer_logprobs",
    "answer_questions",
    "exact_match",
    "ngram_baseline",
    "preference_accuracy",
    "read_questions",
    "run",
    "score_documents",
    "score_texts",
    "write_questions",
]

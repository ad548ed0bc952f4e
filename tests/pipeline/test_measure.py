"""What the run measures agrees with the measurements themselves."""

import pytest

from llmcore import evals
from llmcore.data import read_documents
from llmcore.pipeline.measure import load


def test_bits_per_byte_is_that_of_the_held_out_documents(finished, toy_pipeline):
    layout, metrics = finished
    model, tokenizer = load(layout, "pretrain")
    score = evals.score_texts(
        model, tokenizer, read_documents(layout.documents_held_out), seq_len=128
    )
    language = metrics["language"]
    assert language["bits_per_byte"] == pytest.approx(score.bits_per_byte, rel=1e-6)
    assert language["num_held_out_tokens"] == score.num_tokens
    gap = language["ngram_bits_per_byte"] - language["bits_per_byte"]
    assert language["gap_bits_per_byte"] == pytest.approx(gap)


def test_chat_measurements_agree_with_llmcore_eval(finished):
    layout, metrics = finished
    setting = evals.EvalConfig(
        model=str(layout.stage("dpo")),
        exercises=str(layout.exercises_held_out),
        preferences=str(layout.preferences_held_out),
        reference=str(layout.stage("sft")),
        max_new_tokens=40,
    )
    found, chat = evals.run(setting), metrics["chat"]["dpo"]
    assert chat["exact_match"] == pytest.approx(found["exact_match"])
    assert chat["preference_accuracy"] == found["preference_accuracy"]
    assert chat["kl_preferences_per_answer"] >= 0


def test_only_the_aligned_model_has_a_divergence(finished):
    _, metrics = finished
    assert "kl_exercises_per_token" in metrics["chat"]["dpo"]
    assert "kl_exercises_per_token" not in metrics["chat"]["sft"]
    assert set(metrics["chat"]["sft"]["exact_match_unseen_words"]) == set(
        metrics["chat"]["sft"]["exact_match_by_skill"]
    )


def test_samples_show_every_skill(finished):
    _, metrics = finished
    samples = metrics["chat"]["sft"]["samples"]
    assert {s["skill"] for s in samples} == set(metrics["data"]["skills"])
    assert all(s["right"] == (s["answer"].strip() == s["expected"]) for s in samples)
    assert len(metrics["chat"]["sft"]["style_samples"]) == 6

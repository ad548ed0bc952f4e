"""The promises of the quickstart, computed from what the run measured."""

from typing import Any, Final

NUM_SKILLS: Final = 4
SKILL_AFTER: Final = 0.80
SKILL_BEFORE: Final = 0.10
MIN_EXERCISES: Final = 2_000
PREFERENCE_AFTER: Final = 0.85
PREFERENCE_BEFORE: Final = (0.35, 0.65)
EXACT_MATCH_LOSS: Final = 0.03


def check_targets(metrics: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Compare each promise with its number.

    Args:
        metrics: `data`, `language` and the `chat` measurements of pretrain, sft and dpo.

    Returns:
        Per target: `promise`, `measured` (text) and `met`.
    """
    language, chat = metrics["language"], metrics["chat"]
    learned = learned_skills(chat)
    num_exercises = metrics["data"]["num_exercises"]
    return {
        "language": _target(
            "bits per byte below an interpolated 3-gram on the same tokens",
            f"{language['bits_per_byte']:.3f} against {language['ngram_bits_per_byte']:.3f}",
            language["bits_per_byte"] < language["ngram_bits_per_byte"],
        ),
        "skills": _target(
            f"at least {NUM_SKILLS} skills at {SKILL_AFTER:.0%} exact match or more, each below "
            f"{SKILL_BEFORE:.0%} before tuning, from {MIN_EXERCISES:,} exercises or more",
            f"{len(learned)} skills from {num_exercises:,} exercises",
            len(learned) >= NUM_SKILLS and num_exercises >= MIN_EXERCISES,
        ),
        "preferences": _preferences(chat["sft"], chat["dpo"]),
        "retention": _retention(chat["sft"], chat["dpo"]),
    }


def learned_skills(chat: dict[str, Any]) -> list[str]:
    """Skills that the tuned model has and the pre-trained one has not."""
    before, after = (chat[stage]["exact_match_by_skill"] for stage in ("pretrain", "sft"))
    return [s for s in after if after[s] >= SKILL_AFTER and before.get(s, 0.0) < SKILL_BEFORE]


def _preferences(sft: dict[str, Any], dpo: dict[str, Any]) -> dict[str, Any]:
    low, high = PREFERENCE_BEFORE
    before, after = sft["preference_accuracy"], dpo["preference_accuracy"]
    return _target(
        f"preference accuracy {PREFERENCE_AFTER} or more after DPO, {low} to {high} before",
        f"{after:.3f} from {before:.3f}, KL {dpo['kl_preferences_per_answer']:.2f} nats an answer",
        after >= PREFERENCE_AFTER and low <= before <= high,
    )


def _retention(sft: dict[str, Any], dpo: dict[str, Any]) -> dict[str, Any]:
    lost = sft["exact_match"] - dpo["exact_match"]
    return _target(
        f"exact match after DPO at most {100 * EXACT_MATCH_LOSS:.0f} points lower",
        f"{100 * dpo['exact_match']:.1f} % from {100 * sft['exact_match']:.1f} %",
        lost <= EXACT_MATCH_LOSS,
    )


def _target(promise: str, measured: str, met: bool) -> dict[str, Any]:
    return {"promise": promise, "measured": measured, "met": met}

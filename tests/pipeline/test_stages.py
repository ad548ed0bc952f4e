"""The stages' configs point at each other."""

import torch

from llmcore.checkpoint import load_tensors
from llmcore.pipeline.stages import dpo_config, pretrain_config, run_stage, sft_config


def test_every_stage_starts_from_the_one_before(finished, toy_pipeline):
    layout, _ = finished
    pretrain, sft, dpo = (
        make(toy_pipeline, layout) for make in (pretrain_config, sft_config, dpo_config)
    )
    assert pretrain.tokenizer == str(layout.tokenizer)
    assert (pretrain.train, sft.train) == (toy_pipeline.pretrain.train, toy_pipeline.sft.train)
    assert sft.init_from == str(layout.stage("pretrain"))
    assert dpo.init_from == str(layout.stage("sft"))
    assert dpo.beta == toy_pipeline.dpo_beta


def test_a_finished_stage_is_not_trained_again(finished, toy_pipeline):
    layout, metrics = finished
    before = load_tensors(layout.stage("dpo") / "model.safetensors")
    totals = run_stage("dpo", toy_pipeline, layout, resume=True, quiet=True)
    assert totals["steps"] == 2
    assert totals["final_loss"] == metrics["stages"]["dpo"]["final_loss"]
    after = load_tensors(layout.stage("dpo") / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)

"""Pre-training: next-token prediction on packed documents."""

from llmcore.pretraining.config import PretrainConfig
from llmcore.pretraining.corpus import TokenizedCorpus, tokenize_corpus, tokenize_documents
from llmcore.pretraining.run import (
    held_out_batches,
    initial_model,
    initial_state,
    make_stream,
    run,
)
from llmcore.pretraining.step import accumulate_gradients, make_pretrain_step, mean_token_loss

__all__ = [
    "PretrainConfig",
    "TokenizedCorpus",
    "accumulate_gradients",
    "held_out_batches",
    "initial_model",
    "initial_state",
    "make_pretrain_step",
    "make_stream",
    "mean_token_loss",
    "run",
    "tokenize_corpus",
    "tokenize_documents",
]

"""Preference alignment: direct preference optimisation."""

from llmcore.alignment.config import DPOConfig
from llmcore.alignment.pair_stream import PairBatch, PairStream, pair_batch
from llmcore.alignment.pairs import EncodedPair, encode_pair, load_pairs
from llmcore.alignment.reference import ReferenceLogprobs, reference_logprobs
from llmcore.alignment.run import run
from llmcore.alignment.step import make_dpo_step, pair_logprobs

__all__ = [
    "DPOConfig",
    "EncodedPair",
    "PairBatch",
    "PairStream",
    "ReferenceLogprobs",
    "encode_pair",
    "load_pairs",
    "make_dpo_step",
    "pair_batch",
    "pair_logprobs",
    "reference_logprobs",
    "run",
]

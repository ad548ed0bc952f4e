"""Whole models, their configuration and their directories on disk."""

from llmcore.models.decoder import Decoder
from llmcore.models.decoder_config import DecoderConfig
from llmcore.models.packing import pack_for_inference
from llmcore.models.pretrained import load_pretrained, load_stop_ids, save_pretrained

__all__ = [
    "Decoder",
    "DecoderConfig",
    "load_pretrained",
    "load_stop_ids",
    "pack_for_inference",
    "save_pretrained",
]

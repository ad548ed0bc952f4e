"""AdamW, gradient clipping and the learning-rate schedule."""

from llmcore.optim.adamw import AdamW
from llmcore.optim.clip import clip_grad_norm_, clip_scale, grad_norm
from llmcore.optim.config import OptimConfig
from llmcore.optim.schedule import warmup_cosine

__all__ = ["AdamW", "OptimConfig", "clip_grad_norm_", "clip_scale", "grad_norm", "warmup_cosine"]

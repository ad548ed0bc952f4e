"""The Llama-style decoder, assembled from `llmcore.nn` parts."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmcore.errors import ShapeError
from llmcore.models.decoder_config import DecoderConfig
from llmcore.nn import (
    AttentionCache,
    Embedding,
    FeedForward,
    Linear,
    PackedProjection,
    RMSNorm,
    SelfAttention,
    rotary_tables,
)


class DecoderBlock(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)): the pre-norm residual block."""

    def __init__(self, config: DecoderConfig, layer_idx: int) -> None:
        super().__init__()
        self.attn_norm = RMSNorm(config.hidden_size, eps=config.norm_eps)
        self.attn = SelfAttention(
            config.hidden_size,
            num_heads=config.num_heads,
            num_kv_heads=config.num_kv_heads,
            head_dim=config.head_dim,
            layer_idx=layer_idx,
        )
        self.ffn_norm = RMSNorm(config.hidden_size, eps=config.norm_eps)
        self.ffn = FeedForward(config.hidden_size, config.intermediate_size)

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        *,
        rotary: tuple[Tensor, Tensor],
        mask: Bool[Tensor, "B T S"] | None = None,
        segment_ids: Int[Tensor, "B T"] | None = None,
        cache: AttentionCache | None = None,
    ) -> Float[Tensor, "B T C"]:
        normed = self.attn_norm(x)
        x = x + self.attn(normed, rotary=rotary, mask=mask, segment_ids=segment_ids, cache=cache)
        return x + self.ffn(self.ffn_norm(x))


class Decoder(nn.Module):
    """Causal language model: embedding, blocks, final norm, head.

    Source: Touvron et al. 2023, arXiv:2302.13971.
    """

    def __init__(self, config: DecoderConfig, *, generator: torch.Generator | None = None) -> None:
        """Build with weights drawn from N(0, config.init_std) and gains of one.

        Args:
            config: Shape of the model, kept as `.config`.
            generator: Source of the random weights; None uses a fresh one seeded with 0, never
                the global stream.
        """
        super().__init__()
        self.config = config
        self.embed = Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderBlock(config, idx) for idx in range(config.num_layers))
        self.final_norm = RMSNorm(config.hidden_size, eps=config.norm_eps)
        self.lm_head: Linear | PackedProjection | None = (
            None if config.tie_embeddings else Linear(config.hidden_size, config.vocab_size)
        )
        self._init_weights(generator)

    def _init_weights(self, generator: torch.Generator | None) -> None:
        if self.embed.weight.is_meta:
            return
        if generator is None:
            generator = torch.Generator(self.embed.weight.device).manual_seed(0)
        for weight in self.parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=self.config.init_std, generator=generator)

    def forward(
        self,
        input_ids: Int[Tensor, "B T"],
        *,
        positions: Int[Tensor, "B T"] | None = None,
        segment_ids: Int[Tensor, "B T"] | None = None,
        cache: AttentionCache | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the next token at every position; arguments as for `hidden_states`."""
        return self.logits(
            self.hidden_states(input_ids, positions=positions, segment_ids=segment_ids, cache=cache)
        )

    def hidden_states(
        self,
        input_ids: Int[Tensor, "B T"],
        *,
        positions: Int[Tensor, "B T"] | None = None,
        segment_ids: Int[Tensor, "B T"] | None = None,
        cache: AttentionCache | None = None,
    ) -> Float[Tensor, "B T C"]:
        """Activations after the final norm, the input of the head.

        Args:
            input_ids: Token ids in [0, V).
            positions: Rotary positions in [0, max_seq_len); by default 0 .. T - 1, or what follows
                in the cache.
            segment_ids: Documents of a packed row. A token attends only to earlier tokens of its
                own segment; -1 is padding, whose outputs mean nothing. Not with `cache`.
            cache: Keys and values of earlier tokens; the new ones are stored in it.

        Raises:
            ShapeError: an argument's shape or length does not fit the model.
        """
        self._check_inputs(input_ids, positions, segment_ids, cache)
        num_tokens = input_ids.shape[1]
        rotary = self._rotary(positions, num_tokens, cache, input_ids.device)
        mask = None if cache is None else cache.keep_mask(num_tokens)
        segments = None if segment_ids is None else segment_ids.to(torch.int64)
        x = self.embed(input_ids)
        for layer in self.layers:
            x = layer(x, rotary=rotary, mask=mask, segment_ids=segments, cache=cache)
        if cache is not None:
            cache.advance(num_tokens)
        return self.final_norm(x)

    def logits(self, hidden: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch V"]:
        """Project hidden states to the vocabulary; a tied head is the embedding matrix."""
        if self.lm_head is None:
            return F.linear(hidden, self.embed.weight)
        return self.lm_head(hidden)

    def _rotary(
        self,
        positions: Tensor | None,
        num_tokens: int,
        cache: AttentionCache | None,
        device: torch.device,
    ) -> tuple[Tensor, Tensor]:
        config = self.config
        cos, sin = rotary_tables(config.max_seq_len, config.head_dim, config.rope_theta, device)
        if positions is None and cache is None:
            return cos[:num_tokens], sin[:num_tokens]
        if positions is None:
            assert cache is not None
            positions = cache.positions(num_tokens)
        return cos[positions], sin[positions]

    def _check_inputs(
        self,
        input_ids: Tensor,
        positions: Tensor | None,
        segment_ids: Tensor | None,
        cache: AttentionCache | None,
    ) -> None:
        if input_ids.ndim != 2:
            raise ShapeError(
                f"decoder: input_ids must be (B, T), got shape {tuple(input_ids.shape)}"
            )
        for name, value in (("positions", positions), ("segment_ids", segment_ids)):
            if value is not None and value.shape != input_ids.shape:
                raise ShapeError(
                    f"decoder: {name} must be (B, T) = {tuple(input_ids.shape)}, "
                    f"got {tuple(value.shape)}"
                )
        if cache is not None and segment_ids is not None:
            raise ShapeError("decoder: segment_ids must be None when a cache is given")
        num_past = 0 if cache is None else cache.num_positions
        num_total = num_past + input_ids.shape[1]
        if positions is None and num_total > self.config.max_seq_len:
            raise ShapeError(
                f"decoder: input_ids must end within max_seq_len = {self.config.max_seq_len} "
                f"tokens, got {num_total}"
            )

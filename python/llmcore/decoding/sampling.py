"""Draw one token per row."""

from jaxtyping import Float, Int
from torch import Tensor

from llmcore import ops
from llmcore.decoding.sampling_params import SamplingParams


def sample_tokens(
    logits: Float[Tensor, "B V"],
    params: SamplingParams,
    *,
    seeds: Int[Tensor, " B"],
    positions: Int[Tensor, " B"],
) -> Int[Tensor, " B"]:
    """Next token of every row under `params`.

    Args:
        logits: Raw scores.
        params: Temperature, top-k and top-p, the same for all rows.
        seeds: Key of each row's random stream; unused when greedy.
        positions: Index that the new token will have in its sequence. A draw depends on the row's
            logits, seed and position only, never on the row's place in the batch.
    """
    return ops.sample(
        logits,
        temperature=params.temperature,
        top_k=params.top_k,
        top_p=params.top_p,
        seeds=seeds,
        positions=positions,
    )

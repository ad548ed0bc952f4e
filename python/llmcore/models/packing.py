"""A decoder with its projections packed for inference on the CPU."""

import torch
from torch import nn

from llmcore.errors import ConfigError
from llmcore.models.decoder import Decoder
from llmcore.nn import Linear, PackedProjection
from llmcore.ops import pack_linear
from llmcore.ops.linear import WeightFormat


def pack_for_inference(
    model: Decoder, *, format: WeightFormat = "float32", group_size: int | None = None
) -> Decoder:
    """Return a decoder for inference whose projections, head included, read packed weights.

    `model` stays as it is and trainable; embedding and norms are shared with it, so drop it to free
    the unpacked projections. A tied head gets a packed copy of the embedding, which stays for the
    lookups. The result has no gradients, cannot be saved (`save_pretrained` refuses) and keeps the
    weights of the moment: pack again after training on.

    Args:
        model: A decoder on the CPU, in float32 or bfloat16.
        format: `float32` computes what `model` computes, up to the order of sums; `bfloat16`
            rounds float32 weights; `int8` and `int4` quantise (`ops.pack_linear`). The activations
            keep the dtype of `model`.
        group_size: Input channels per scale of the integer formats; None: the format's default.

    Raises:
        ConfigError: `model` is packed already or not on the CPU, or a format option does not fit.
    """
    if is_packed(model):
        raise ConfigError("pack_for_inference: model must be unpacked, got packed weights")
    device = model.embed.weight.device.type
    if device != "cpu":
        raise ConfigError(f"pack_for_inference: model must be on the CPU, got {device}")
    with torch.device("meta"):
        packed = Decoder(model.config)
    packed.load_state_dict(model.state_dict(), assign=True)

    def pack(weight: torch.Tensor) -> PackedProjection:
        return PackedProjection(pack_linear(weight, format=format, group_size=group_size))

    for parent in list(packed.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Linear):
                setattr(parent, name, pack(child.weight))
    if packed.lm_head is None:
        packed.lm_head = pack(packed.embed.weight)
    return packed.requires_grad_(False).eval()


def is_packed(model: nn.Module) -> bool:
    """Whether `pack_for_inference` made the model."""
    return any(isinstance(module, PackedProjection) for module in model.modules())

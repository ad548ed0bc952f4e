"""Weights packed for `linear`: the quantiser, the panel layout of csrc/ops/linear.h, and back."""

from dataclasses import dataclass
from typing import Final, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from llmcore.errors import ConfigError
from llmcore.ops.shape_check import dtype_error, shape_error

WeightFormat = Literal["float32", "bfloat16", "int8", "int4"]

FORMATS: Final = ("float32", "bfloat16", "int8", "int4")
GROUP_SIZES: Final = (32, 64, 128)
PANEL_WIDTH: Final = 64
STEP_SIZE: Final = {"float32": 1, "bfloat16": 2, "int8": 2, "int4": 8}
LARGEST: Final = {"int8": 127, "int4": 7}


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedLinear:
    """A weight (O, I) as the kernels read it; made by `pack_linear`.

    Save the two tensors and rebuild with the same four fields: the layout is the same on every
    machine. `data` is (panels, steps, 64) or (panels, steps, 64, 2), in float32, bfloat16, int8, or
    int32 for eight 4-bit numbers; `scales` is (panels, groups, 64) bfloat16, empty for the float
    formats.
    """

    data: Tensor
    scales: Tensor
    in_size: int
    out_size: int
    format: WeightFormat
    group_size: int
    """Input channels that share a scale; 0: all of them."""

    def __post_init__(self) -> None:
        """Check that the tensors fit the sizes.

        Raises:
            ShapeError, DtypeError, ConfigError: a tensor or a field contradicts the others.
        """
        _check_format("PackedLinear", self.format, self.group_size)
        steps = -(-self.in_size // STEP_SIZE[self.format])
        panels = -(-self.out_size // PANEL_WIDTH)
        pair = (2,) if self.format in ("bfloat16", "int8") else ()
        if tuple(self.data.shape) != (panels, steps, PANEL_WIDTH, *pair):
            expected = f"{(panels, steps, PANEL_WIDTH, *pair)}"
            raise shape_error("PackedLinear", "data", expected, self.data)
        dtype = torch.int32 if self.format == "int4" else getattr(torch, self.format)
        if self.data.dtype != dtype:
            raise dtype_error("PackedLinear", "data", str(dtype), self.data)
        groups = self._num_groups()
        if groups and tuple(self.scales.shape) != (panels, groups, PANEL_WIDTH):
            expected = f"{(panels, groups, PANEL_WIDTH)}"
            raise shape_error("PackedLinear", "scales", expected, self.scales)
        if self.scales.dtype != torch.bfloat16 or (groups == 0 and self.scales.numel() > 0):
            raise dtype_error("PackedLinear", "scales", "bfloat16, empty for floats", self.scales)

    def _num_groups(self) -> int:
        if self.format not in LARGEST:
            return 0
        return -(-self.in_size // self.group_size) if self.group_size else 1

    def unpack(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "O I"]:
        """Return the weight as the kernels see it; exact in float32 and float64."""
        wide = torch.promote_types(dtype, torch.float32)
        by_input = _from_panels(self.data, self.format).to(wide)  # -> panels, I padded, 64
        if self._num_groups():
            size = self.group_size or by_input.shape[1]
            scales = self.scales.to(wide).repeat_interleave(max(size, 1), dim=1)
            by_input = by_input * scales[:, : by_input.shape[1]]
        rows = by_input.transpose(1, 2).flatten(0, 1)  # -> O padded, I padded
        return rows[: self.out_size, : self.in_size].to(dtype).contiguous()

    def num_bytes(self) -> int:
        """Bytes of data and scales, padding included: what one call reads."""
        return self.data.nbytes + self.scales.nbytes

    def to(self, device: torch.device | str) -> "PackedLinear":
        """Return the same weight on another device."""
        return PackedLinear(
            data=self.data.to(device),
            scales=self.scales.to(device),
            in_size=self.in_size,
            out_size=self.out_size,
            format=self.format,
            group_size=self.group_size,
        )


def pack_linear(
    weight: Float[Tensor, "O I"],
    *,
    format: WeightFormat = "float32",
    group_size: int | None = None,
) -> PackedLinear:
    r"""Pack a weight for `linear`, once, before inference.

    The integer formats round to nearest, symmetrically, with one scale per output channel and group
    of `group_size` input channels:

        scale = max_group |w| / q_max  rounded up to bfloat16,   q = round(w / scale)

    so that |w - q scale| <= scale / 2. q_max is 127 (int8) or 7 (int4).

    Args:
        weight: Any floating dtype; kept as it is, the result shares no memory with it.
        format: `float32` and `bfloat16` round the weight to that type. `int8` and `int4` take 8 and
            4 bits a number, plus 16 bits per scale.
        group_size: 32, 64 or 128; None: one scale for all input channels (int8), 64 (int4).

    Raises:
        ShapeError: `weight` has not two axes.
        DtypeError: `weight` is not floating.
        ConfigError: the format or the group size is unknown, or an integer format meets a weight
            that is not finite.
    """
    if weight.dim() != 2:
        raise shape_error("pack_linear", "weight", "(O, I)", weight)
    if not weight.is_floating_point():
        raise dtype_error("pack_linear", "weight", "a floating type", weight)
    size = _group_size(format, group_size)
    weight = weight.detach()
    scales = weight.new_empty(0, dtype=torch.bfloat16)
    by_input = _to_panels(weight.float(), STEP_SIZE.get(format, 1))
    if format in LARGEST:
        if not bool(torch.isfinite(weight).all()):
            raise ConfigError(f"pack_linear: weight must be finite for {format}, got NaN or inf")
        by_input, scales = _quantise(by_input, size, LARGEST[format])
    return PackedLinear(
        data=_interleave(by_input, format),
        scales=scales,
        in_size=weight.shape[1],
        out_size=weight.shape[0],
        format=format,
        group_size=size,
    )


def _group_size(format: str, group_size: int | None) -> int:
    if format == "int4" and group_size is None:
        return 64
    size = 0 if group_size is None else group_size
    if group_size == 0:
        raise ConfigError("pack_linear: group_size must be 32, 64, 128 or None, got 0")
    _check_format("pack_linear", format, size)
    return size


def _check_format(op: str, format: str, group_size: int) -> None:
    if format not in FORMATS:
        raise ConfigError(f"{op}: format must be one of {', '.join(FORMATS)}, got {format}")
    allowed = {"float32": (0,), "bfloat16": (0,), "int8": (0, *GROUP_SIZES), "int4": GROUP_SIZES}
    if group_size not in allowed[format]:
        sizes = ", ".join(map(str, allowed[format]))
        raise ConfigError(
            f"{op}: group_size must be one of {sizes} for {format} (0: none), got {group_size}"
        )


def _to_panels(weight: Tensor, step_size: int) -> Tensor:
    """(O, I) -> (panels, I padded to whole steps, 64), zeros where padded."""
    out_size, in_size = weight.shape
    padded = F.pad(weight, (0, -in_size % step_size, 0, -out_size % PANEL_WIDTH))
    return padded.unflatten(0, (-1, PANEL_WIDTH)).transpose(1, 2)


def _quantise(by_input: Tensor, group_size: int, largest: int) -> tuple[Tensor, Tensor]:
    """(panels, I, 64) -> integers as float32, and scales (panels, groups, 64)."""
    in_size = by_input.shape[1]
    size = group_size or max(in_size, 1)
    groups = F.pad(by_input, (0, 0, 0, -in_size % size)).unflatten(1, (-1, size))
    amax = groups.abs().amax(dim=2) if groups.numel() else groups.new_zeros(groups[:, :, 0].shape)
    up = ((amax / largest).view(torch.int32) + 0xFFFF) >> 16  # bits of the next bfloat16
    scales = up.to(torch.int16).view(torch.bfloat16)
    divisor = torch.where(scales > 0, scales.float(), 1.0)
    q = (groups / divisor[:, :, None]).round()
    return q.flatten(1, 2)[:, :in_size], scales


def _interleave(by_input: Tensor, format: WeightFormat) -> Tensor:
    """(panels, I, 64) -> the steps of the format."""
    if format == "float32":
        return by_input.contiguous()
    if format == "int4":
        eight = by_input.to(torch.int32).unflatten(1, (-1, 8)) & 15  # -> panels, steps, 8, 64
        shifts = torch.tensor(NIBBLE_SHIFTS, dtype=torch.int32, device=by_input.device)
        # The nibbles do not overlap, so their sum is their union, modulo 2^32.
        return (eight << shifts[:, None]).sum(dim=2, dtype=torch.int32)
    pairs = by_input.to(getattr(torch, format)).unflatten(1, (-1, 2))  # -> panels, steps, 2, 64
    return pairs.transpose(2, 3).contiguous()


def _from_panels(data: Tensor, format: WeightFormat) -> Tensor:
    """The inverse of `_interleave`."""
    if format == "float32":
        return data
    if format == "int4":
        shifts = torch.tensor(NIBBLE_SHIFTS, dtype=torch.int32, device=data.device)
        nibbles = (data[:, :, None] >> shifts[:, None]) & 15
        return ((nibbles ^ 8) - 8).flatten(1, 2)
    return data.transpose(2, 3).flatten(1, 2)


NIBBLE_SHIFTS: Final = (0, 16, 4, 20, 8, 24, 12, 28)
"""Bit at which input channel 0 .. 7 of a step begins."""

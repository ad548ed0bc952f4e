"""What a caller of sample gives besides logits, and the flat tensors that the op is called with."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from llmcore.errors import ConfigError
from llmcore.ops.shape_check import dtype_error, shape_error

RowInt = int | Int[Tensor, " B"]
"""One value for all rows, or one each."""
Number = float | int | Tensor
RowFloat = float | Float[Tensor, " B"]
"""One value for all rows, or one each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Penalties:
    """What each row holds so far, and how much the tokens in it lose.

    A row of `history` is prompt, output, then anything. An engine keeps the three tensors and
    writes one token a row and step into them, so that a step copies no history.
    """

    history: Int[Tensor, "B S"]
    """int32 or int64 ids; those past `lens` are not read."""
    prompt_lens: Int[Tensor, " B"]
    """int64 tokens of the prompt."""
    lens: Int[Tensor, " B"]
    """int64 tokens of prompt and output."""
    repetition: RowFloat = 1.0
    """Divides the positive, multiplies the other scores of all tokens in the history; 1: off."""
    frequency: RowFloat = 0.0
    """Taken off the score of a token for each time that it is in the output; 0: off."""
    presence: RowFloat = 0.0
    """Taken off the score of every token in the output; 0: off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LogitBias:
    """Values to add to the scores of a few tokens; an id that is listed twice gets both."""

    ids: Int[Tensor, " N"]
    """int64 ids of all rows, one row after the other."""
    values: Float[Tensor, " N"]
    """float32, added to the scores before the penalties."""
    offsets: Int[Tensor, " _"]
    """int64 (B + 1,): row n has [offsets[n], offsets[n + 1]); or (2,): all rows have the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LogitEdits:
    """Changes to the logits before the temperature, in this order."""

    allowed: Bool[Tensor, "_ V"] | Int[Tensor, "_ _"] | None = None
    """Tokens that may be drawn: bool, or int32 (B, ceil(V / 32)) with id j in bit j % 32 of word
    j // 32. The first axis may be 1."""
    bias: LogitBias | Float[Tensor, "_ V"] | None = None
    """Added to the scores: a few per row, or float32 for all. The first axis may be 1."""
    penalties: Penalties | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Logprobs:
    """Which log-probabilities to return with the ids."""

    num: int = 0
    """Also those of so many likeliest tokens."""
    processed: bool = False
    """Of the distribution that is drawn from; else of the raw logits' softmax."""


class Sampled(NamedTuple):
    """Drawn ids with log-probabilities in float32; -inf where a token could not be drawn."""

    ids: Int[Tensor, " B"]
    """The drawn tokens; -1 where none could be drawn."""
    logprobs: Float[Tensor, " B"]
    """Of the drawn tokens."""
    ranks: Int[Tensor, " B"]
    """Place of the drawn token among all by probability, from 1; 0 where the id is -1."""
    top_ids: Int[Tensor, "B K"]
    """The likeliest tokens, likeliest first, the lowest id first among equals."""
    top_logprobs: Float[Tensor, "B K"]
    """Of `top_ids`."""


class Extras(NamedTuple):
    """The tensors that a plain call lacks. One without elements is absent."""

    params: Tensor
    """float64 (B, 8), a column for each of `LIMITS`; absent: the call's numbers serve all rows."""
    allowed: Tensor
    bias: Tensor
    bias_ids: Tensor
    bias_offsets: Tensor
    history: Tensor
    prompt_lens: Tensor
    lens: Tensor


class SampleCall(NamedTuple):
    """The arguments of `llmcore::sample`, in the order of its schema."""

    logits: Tensor
    seeds: Tensor
    positions: Tensor
    numbers: list[float]
    """One for each of `LIMITS`."""
    tensors: list[Tensor]
    """None, or those of `Extras`."""

    def extras(self) -> Extras:
        """The extra tensors by name, with the numbers of a plain call in `params`."""
        none = self.logits.new_empty(0)
        extras = Extras(*self.tensors) if self.tensors else Extras(*(none,) * 8)
        if extras.params.numel():
            return extras
        num_rows = self.logits.shape[0]
        numbers = torch.tensor(self.numbers, dtype=torch.float64, device=self.logits.device)
        return extras._replace(params=numbers.expand(num_rows, -1))


NO_PENALTIES: Final = (1.0, 0.0, 0.0)
DEFAULTS: Final = [1.0, 0.0, 1.0, 0.0, 1.0, *NO_PENALTIES]
# name -> (expectation, lowest, highest, lowest is allowed)
LIMITS: Final[dict[str, tuple[str, float, float, bool]]] = {
    "temperature": ("finite and >= 0", 0.0, math.nextafter(math.inf, 0.0), True),
    "top_k": ("a whole number in [0, 2^52]", 0.0, 2.0**52, True),
    "top_p": ("in (0, 1]", 0.0, 1.0, False),
    "min_p": ("in [0, 1]", 0.0, 1.0, True),
    "typical_p": ("in (0, 1]", 0.0, 1.0, False),
    "repetition_penalty": ("finite and > 0", 0.0, math.nextafter(math.inf, 0.0), False),
    "frequency_penalty": ("finite", -math.inf, math.nextafter(math.inf, 0.0), False),
    "presence_penalty": ("finite", -math.inf, math.nextafter(math.inf, 0.0), False),
}


def pack(
    logits: Tensor,
    seeds: Tensor,
    positions: Tensor,
    truncation: tuple[Number, ...],
    edits: LogitEdits | None,
) -> SampleCall:
    """Check shapes and dtypes; values are `check_values`' matter.

    Raises:
        ShapeError, DtypeError: an argument does not fit; the message says which.
    """
    if logits.dim() != 2 or logits.shape[1] == 0:
        raise shape_error("sample", "logits", "(B, V) with V > 0", logits)
    num_rows = logits.shape[0]
    _check_rows("seeds", seeds, num_rows)
    _check_rows("positions", positions, num_rows)
    penalties = None if edits is None else edits.penalties
    strengths: tuple[Number, ...] = NO_PENALTIES
    if penalties is not None:
        strengths = (penalties.repetition, penalties.frequency, penalties.presence)
    values = (*truncation, *strengths)
    is_plain = not any(isinstance(value, Tensor) for value in values)
    if is_plain and edits is None:
        return SampleCall(logits, seeds, positions, _plain(values), [])
    none = logits.new_empty(0)
    extras = Extras(
        none if is_plain else _row_params(values, logits),
        none if edits is None or edits.allowed is None else _allowed(edits.allowed, logits),
        *((none,) * 3 if edits is None or edits.bias is None else _bias(edits.bias, logits)),
        *((none,) * 3 if penalties is None else _history(penalties, num_rows)),
    )
    return SampleCall(
        logits, seeds, positions, _plain(values) if is_plain else DEFAULTS, list(extras)
    )


def check_num(logprobs: Logprobs | None, vocab_size: int) -> None:
    """Raise ConfigError if there are fewer tokens than are to be listed."""
    if logprobs is not None and not 0 <= logprobs.num <= vocab_size:
        raise ConfigError(
            f"sample: logprobs must be num in [0, V] = [0, {vocab_size}], got {logprobs.num}"
        )


def check_values(call: SampleCall) -> None:
    """Check what only a look at the values can tell. It waits for the device.

    Raises:
        ConfigError: a parameter, a length, an offset or an id is out of range.
    """
    extras = call.extras()
    vocab_size = call.logits.shape[1]
    for values in [call.numbers, *extras.params.tolist()]:
        for name, value in zip(LIMITS, values, strict=True):
            _check_number(name, value)
    if extras.bias_offsets.numel():
        rises = [0, *extras.bias_offsets.tolist(), extras.bias.numel()]
        if rises != sorted(rises):
            raise ConfigError(
                f"sample: logit_bias must be offsets that rise from 0 to {rises[-1]}, "
                f"got {rises[1:-1]}"
            )
        _check_ids("logit_bias", extras.bias_ids[rises[1] : rises[-2]], vocab_size)
    if extras.history.numel():
        _check_history(extras, vocab_size)


def _plain(values: tuple[Number, ...]) -> list[float]:
    return [float(value) for value in values if not isinstance(value, Tensor)]


def _row_params(values: tuple[Number, ...], logits: Tensor) -> Tensor:
    num_rows = logits.shape[0]
    columns = []
    for name, value in zip(LIMITS, values, strict=True):
        if not isinstance(value, Tensor):
            columns.append(logits.new_full((num_rows,), value, dtype=torch.float64))
        elif value.dim() != 1 or value.shape[0] != num_rows:
            raise shape_error("sample", name, f"a number or (B,) = ({num_rows},)", value)
        elif value.is_complex():
            raise dtype_error("sample", name, "real", value)
        else:
            columns.append(value.to(torch.float64))
    return torch.stack(columns, dim=1)


def _check_number(name: str, value: float) -> None:
    expected, lowest, highest, closed = LIMITS[name]
    is_inside = (lowest <= value if closed else lowest < value) and value <= highest
    if not is_inside or (name == "top_k" and value != int(value)):
        raise ConfigError(f"sample: {name} must be {expected}, got {value}")


def _check_rows(name: str, tensor: Tensor, num_rows: int) -> None:
    if tensor.dim() != 1 or tensor.shape[0] != num_rows:
        raise shape_error("sample", name, f"(B,) = ({num_rows},)", tensor)
    if tensor.dtype != torch.int64:
        raise dtype_error("sample", name, "int64", tensor)


def _history(penalties: Penalties, num_rows: int) -> tuple[Tensor, Tensor, Tensor]:
    history = penalties.history
    if history.dim() != 2 or history.shape[0] != num_rows:
        raise shape_error("sample", "history", f"(B, S) with B = {num_rows}", history)
    if history.dtype not in (torch.int32, torch.int64):
        raise dtype_error("sample", "history", "int32 or int64", history)
    _check_rows("prompt_lens", penalties.prompt_lens, num_rows)
    _check_rows("lens", penalties.lens, num_rows)
    return history, penalties.prompt_lens, penalties.lens


def _allowed(allowed: Tensor, logits: Tensor) -> Tensor:
    num_rows, vocab_size = logits.shape
    width = {torch.bool: vocab_size, torch.int32: (vocab_size + 31) // 32}.get(allowed.dtype)
    if width is None:
        raise dtype_error("sample", "allowed", "bool or int32", allowed)
    if allowed.dim() != 2 or allowed.shape[0] not in (1, num_rows) or allowed.shape[1] != width:
        expected = f"(B or 1, {width}) = ({num_rows}, {width})"
        raise shape_error("sample", "allowed", expected, allowed)
    return allowed


def _bias(bias: LogitBias | Tensor, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    num_rows, vocab_size = logits.shape
    values = bias if isinstance(bias, Tensor) else bias.values
    if values.dtype != torch.float32:
        raise dtype_error("sample", "logit_bias", "float32", values)
    if isinstance(bias, Tensor):
        fits = bias.dim() == 2 and bias.shape[0] in (1, num_rows) and bias.shape[1] == vocab_size
        if not fits:
            expected = f"(B or 1, V) = ({num_rows}, {vocab_size})"
            raise shape_error("sample", "logit_bias", expected, bias)
        return bias, logits.new_empty(0), logits.new_empty(0)
    if values.dim() != 1 or bias.ids.shape != values.shape:
        expected = f"ids of the shape of values = {tuple(values.shape)}"
        raise shape_error("sample", "logit_bias", expected, bias.ids)
    if bias.offsets.dim() != 1 or bias.offsets.shape[0] not in (2, num_rows + 1):
        expected = f"offsets (B + 1,) = ({num_rows + 1},) or (2,)"
        raise shape_error("sample", "logit_bias", expected, bias.offsets)
    for name, tensor in (("ids", bias.ids), ("offsets", bias.offsets)):
        if tensor.dtype != torch.int64:
            raise dtype_error("sample", "logit_bias", f"{name} of int64", tensor)
    return values, bias.ids, bias.offsets


def _check_ids(name: str, ids: Tensor, vocab_size: int) -> None:
    wrong = ids[(ids < 0) | (ids >= vocab_size)]
    if wrong.numel():
        raise ConfigError(
            f"sample: {name} must be ids in [0, V) = [0, {vocab_size}), got {int(wrong[0])}"
        )


def _check_history(extras: Extras, vocab_size: int) -> None:
    size = extras.history.shape[1]
    repetitions = extras.params[:, 5].tolist()
    others = (extras.params[:, 6:] != 0).any(dim=-1).tolist()
    rows = zip(extras.prompt_lens.tolist(), extras.lens.tolist(), strict=True)
    for row, (prompt_len, total) in enumerate(rows):
        if not 0 <= prompt_len <= total <= size:
            raise ConfigError(
                f"sample: history must be 0 <= prompt_lens <= lens <= S = {size}, "
                f"got prompt_lens {prompt_len}, lens {total}"
            )
        if repetitions[row] != 1.0:
            _check_ids("history", extras.history[row, :total], vocab_size)
        elif others[row]:
            _check_ids("history", extras.history[row, prompt_len:total], vocab_size)

"""AdamW over named parameters; the update itself is `ops.adamw_`."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from llmcore.errors import CheckpointError
from llmcore.ops import adamw_
from llmcore.optim.config import OptimConfig


@dataclass(frozen=True, slots=True)
class _Slot:
    """A parameter with its two running means and, of low precision, its float32 master."""

    param: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor
    master: Tensor | None
    weight_decay: float


class AdamW:
    """Adam with decoupled weight decay on weights that have two or more axes.

    A bfloat16 or float16 parameter gets float32 running means and a float32 master weight, of which
    it is the rounding: steps below its own resolution add up.

    Args:
        named_parameters: Usually `model.named_parameters()`; frozen ones are left out.
        config: Betas, eps and weight decay; the learning rate comes with each step.

    Source: Loshchilov & Hutter 2019, arXiv:1711.05101.
    """

    def __init__(
        self, named_parameters: Iterable[tuple[str, nn.Parameter]], config: OptimConfig
    ) -> None:
        self.config = config
        self.num_updates = 0
        self._slots: dict[str, _Slot] = {}
        for name, param in named_parameters:
            if param.requires_grad:
                self._slots[name] = _slot(param, config.weight_decay if param.ndim >= 2 else 0.0)

    def step(self, *, lr: float, grad_scale: float = 1.0) -> None:
        """Apply the gradients; parameters without one are passed over.

        Args:
            lr: Learning rate of this step.
            grad_scale: Factor of all gradients, such as `clip_scale`; they are only read.
        """
        self.num_updates += 1
        for weight_decay in sorted({slot.weight_decay for slot in self._slots.values()}):
            slots = [
                slot
                for slot in self._slots.values()
                if slot.weight_decay == weight_decay and slot.param.grad is not None
            ]
            if slots:
                self._update(slots, lr, weight_decay, grad_scale)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for slot in self._slots.values():
            slot.param.grad = None

    def state_tensors(self) -> dict[str, Tensor]:
        """The running means and masters by parameter name, and the number of updates."""
        tensors = {"num_updates": torch.tensor(self.num_updates)}
        for name, slot in self._slots.items():
            tensors[f"exp_avg.{name}"] = slot.exp_avg
            tensors[f"exp_avg_sq.{name}"] = slot.exp_avg_sq
            if slot.master is not None:
                tensors[f"master.{name}"] = slot.master
        return tensors

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `state_tensors` of an optimiser over equal parameters gave.

        Args:
            tensors: By the same names; values are copied.

        Raises:
            CheckpointError: names or shapes differ.
        """
        own = self.state_tensors()
        if own.keys() != tensors.keys():
            odd = sorted(own.keys() ^ tensors.keys())[0]
            raise CheckpointError(f"AdamW: state must have the model's parameters, '{odd}' differs")
        for name, tensor in tensors.items():
            if own[name].shape != tensor.shape:
                raise CheckpointError(
                    f"AdamW: state '{name}' must be {tuple(own[name].shape)}, "
                    f"got {tuple(tensor.shape)}"
                )
            own[name].copy_(tensor)
        self.num_updates = int(tensors["num_updates"])

    def _update(
        self, slots: list[_Slot], lr: float, weight_decay: float, grad_scale: float
    ) -> None:
        adamw_(
            [slot.param if slot.master is None else (slot.param, slot.master) for slot in slots],
            [slot.param.grad for slot in slots if slot.param.grad is not None],
            [slot.exp_avg for slot in slots],
            [slot.exp_avg_sq for slot in slots],
            step=self.num_updates,
            lr=lr,
            betas=self.config.betas,
            eps=self.config.eps,
            weight_decay=weight_decay,
            grad_scale=grad_scale,
        )


def _slot(param: Tensor, weight_decay: float) -> _Slot:
    wide = torch.promote_types(param.dtype, torch.float32)
    exp_avg, exp_avg_sq = (
        torch.zeros_like(param, dtype=wide, memory_format=torch.contiguous_format) for _ in range(2)
    )
    master = None if wide == param.dtype else param.detach().to(wide)
    return _Slot(param, exp_avg, exp_avg_sq, master, weight_decay)

"""Processes that train one model together: same weights in each, gradients added up after every step.

They are told of one another by the environment (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT), as `eosin train --on
torchrun` and torch's own `torchrun` set it; torch's messages go through accelerate. One process alone is together
with nobody, and nothing here costs it anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor

T = TypeVar("T")


def is_first() -> bool:
    """Whether this process writes and speaks for those that train together; of one alone, true."""
    return os.environ.get("RANK", "0") == "0"


def n_processes() -> int:
    """How many train together, before anything is trained."""
    return int(os.environ.get("WORLD_SIZE", "1"))


class Together:
    """The processes that train one model, seen from one of them.

    Parameters
    ----------
    accelerator
        Knows them.
    """

    def __init__(self, accelerator: Accelerator):
        self.accelerator = accelerator

    @property
    def n_processes(self) -> int:
        """How many there are."""
        return self.accelerator.num_processes

    def owns(self, number: int) -> bool:
        """Whether this process does the piece of work with this number, 0 and up."""
        return number % self.n_processes == self.accelerator.process_index

    @torch.no_grad()
    def take_weights_of_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors by those of the first process, so that rounding keeps nobody apart."""
        if self.n_processes > 1:
            for tensor in tensors:
                torch.distributed.broadcast(tensor, src=0)

    @torch.no_grad()
    def add_up(self, parameters: Iterable[torch.nn.Parameter], loss: Tensor) -> Tensor:
        """Add the gradients of all processes up, in place in each, and their losses, which are returned."""
        if self.n_processes == 1:
            return loss
        learning = [p for p in parameters if p.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in learning]
        flat = torch.cat([g.reshape(-1).float() for g in (*gradients, loss.reshape(1))])
        torch.distributed.all_reduce(flat)
        start = 0
        for parameter, gradient in zip(learning, gradients):
            parameter.grad = flat[start : start + gradient.numel()].view_as(gradient).to(gradient.dtype)
            start += gradient.numel()
        return flat[-1].to(loss.dtype)

    def told_by_first(self, made: T) -> T:
        """What the first process made; what the others give is not looked at."""
        if self.n_processes == 1:
            return made
        found = [made]
        broadcast_object_list(found, from_process=0)
        return found[0]

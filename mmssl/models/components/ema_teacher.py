"""The moving average of a student."""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


def cosine_momentum(progress: float, start: float, end: float = 1.0) -> float:
    """Momentum that rises from ``start`` to ``end`` along half a cosine (BYOL, arXiv:2006.07733, section 3.3).

    Args:
        progress: Share of the training that is done, in [0, 1].
        start: Weight of the old value at progress 0.
        end: Weight of the old value at progress 1.
    """
    return end - (end - start) * (math.cos(math.pi * progress) + 1) / 2


class EMATeacher(nn.Module):
    """Copies of a student's parts whose parameters follow it: ``teacher = m * teacher + (1 - m) * student``.

    Only parameters are averaged, frozen ones included. The teacher has buffers of its own: its norm layers see its own
    batches, in training mode while the algorithm trains, as in the official codes of MoCo, BYOL and MoCo v3.

    Args:
        momentum: Weight of the OLD value at the start of the training.
        end_momentum: Weight of the old value at its end, with the schedule ``'cosine'``.
        schedule: ``'cosine'`` or ``'constant'``.
        drop_path: Whether the teacher drops paths (stochastic depth) in training mode as the student does.
        copy_buffers: Whether every update makes the buffers equal to the student's, instead of leaving the teacher its
            own.
        **parts: The student's parts in the order in which the teacher applies them; their names are the keys below
            which the copies stand in the state dict.

    Raises:
        ValueError: ``schedule`` is none of these, or a momentum lies outside [0, 1].
    """

    def __init__(
        self,
        momentum: float = 0.99,
        end_momentum: float = 1.0,
        schedule: str = 'cosine',
        drop_path: bool = True,
        copy_buffers: bool = False,
        **parts: nn.Module,
    ) -> None:
        super().__init__()
        if schedule not in ('cosine', 'constant'):
            raise ValueError(f"schedule must be 'cosine' or 'constant', got {schedule!r}")
        for value in (momentum, end_momentum):
            if not 0 <= value <= 1:
                raise ValueError(f'momentum is the weight of the old value and lies in [0, 1], got {value}')
        self.momentum = momentum
        self.end_momentum = end_momentum if schedule == 'cosine' else momentum
        for name, part in parts.items():
            self.add_module(name, deepcopy(part).requires_grad_(False))
        self.copy_buffers = copy_buffers
        if not drop_path:
            for module in self.modules():
                if isinstance(module, DropPath):
                    module.drop_prob = 0.0

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Returns what the parts make of the images (N, 3, H, W), one after the other, without gradient."""
        features = images
        for part in self.children():
            features = part(features)
        return features

    @torch.no_grad()
    def update(self, progress: float, *, momentum: float | None = None, **students: nn.Module) -> None:
        """Averages the parameters of all parts, in one fused operation on a GPU.

        Args:
            progress: Optimizer steps done / optimizer steps of the whole run, in (0, 1].
            momentum: Weight of the old value for this update; None follows the schedule.
            **students: The parts, under the names given at construction.
        """
        if momentum is None:
            momentum = cosine_momentum(progress, self.momentum, self.end_momentum)
        teacher: list[Tensor] = []
        student: list[Tensor] = []
        for name, part in students.items():
            teacher += self.get_submodule(name).parameters()
            student += part.parameters()
        get_ema_multi_avg_fn(momentum)(teacher, student, None)
        if self.copy_buffers:
            for name, part in students.items():
                for own, buffer in zip(self.get_submodule(name).buffers(), part.buffers()):
                    own.copy_(buffer)

    def copy_from(self, **students: nn.Module) -> None:
        """Makes every part equal to the student's, buffers too.

        The official codes copy parameters only, when the buffers of both are at their initial values; this is the
        same, and also right for a student that was loaded from a file.

        Args:
            **students: The parts, under the names given at construction.
        """
        for name, part in students.items():
            self.get_submodule(name).load_state_dict(part.state_dict())

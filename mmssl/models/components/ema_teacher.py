"""A teacher whose parameters are the moving average of a student's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from mmssl.distributed.shards import local_shards
from mmssl.models.components.encode_views import embed_views


def cosine_momentum(progress: float, start: float, end: float = 1.0) -> float:
    """Momentum that rises from ``start`` to ``end`` along half a cosine wave (BYOL, arXiv:2006.07733, section 3.3).

    Args:
        progress: Optimizer steps done / optimizer steps of the whole run, in [0, 1].
        start: Weight of the OLD value at progress 0.
        end: Weight of the OLD value at progress 1.
    """
    return end - (end - start) * (math.cos(math.pi * progress) + 1) / 2


def linear_momentum(progress: float, start: float, end: float = 1.0) -> float:
    """Momentum that rises linearly from ``start`` to ``end`` (I-JEPA, arXiv:2301.08243, Appendix A).

    Args:
        progress: Optimizer steps done / optimizer steps of the whole run, in [0, 1].
        start: Weight of the OLD value at progress 0.
        end: Weight of the OLD value at progress 1.
    """
    return start + (end - start) * progress


def truncated_momentum(
    progress: float, start: float, end: float = 1.0, warmup: float = 0.1, part: float = 0.8
) -> float:
    """Momentum that falls linearly from 1 to ``start``, then rises along a part of ``cosine_momentum`` (CAPI).

    Args:
        progress: Optimizer steps done / optimizer steps of the whole run, in [0, 1].
        start: Weight of the OLD value after the warm-up.
        end: Weight of the OLD value to which the cosine would rise.
        warmup: Share of the run in which the momentum falls, in [0, 1).
        part: Share of the cosine that the rest of the run takes, in (0, 1]: after 0.8 of it, nine tenths of the way
            to ``end`` are done.
    """
    if progress < warmup:
        return 1 - (1 - start) * progress / warmup
    return cosine_momentum(part * (progress - warmup) / (1 - warmup), start, end)


_SCHEDULES = dict(
    cosine=cosine_momentum,
    linear=linear_momentum,
    constant=lambda progress, start, end: start,
    truncated=truncated_momentum,
)


class EMATeacher(nn.Module):
    """Copies of a student's parts, updated by ``teacher = m * teacher + (1 - m) * student``.

    Only parameters are averaged, including frozen ones. The teacher has its own buffers: its norm layers collect
    statistics of the batches that it encodes, and are in training mode while the algorithm trains, as in the official
    codes of MoCo, BYOL and MoCo v3.

    Args:
        momentum: Weight of the OLD value at the start of the run.
        end_momentum: Weight of the OLD value at the end of the run, which the schedule ``'constant'`` does not use.
        schedule: Schedule of the momentum: ``'cosine'`` (see ``cosine_momentum``), ``'linear'``, ``'constant'`` or
            ``'truncated'`` (see ``truncated_momentum``).
        drop_path: Whether the teacher drops paths (stochastic depth) in training mode as the student does.
        copy_buffers: Whether every update copies the student's buffers, instead of keeping the teacher's own.
        warmup: Share of the run in which the momentum falls, for ``'truncated'``.
        cosine_part: Share of the cosine that the rest of the run takes, ``part`` of ``truncated_momentum``.
        **parts: The student's parts in the order in which the teacher applies them; their names are the prefixes of the
            copies in the state dict.

    Raises:
        TypeError: A part is not a module, as with a misspelt argument.
        ValueError: ``schedule`` is unknown, or a momentum or share has a value that is not allowed.
    """

    def __init__(
        self,
        momentum: float = 0.99,
        end_momentum: float = 1.0,
        schedule: str = 'cosine',
        drop_path: bool = True,
        copy_buffers: bool = False,
        warmup: float = 0.1,
        cosine_part: float = 0.8,
        **parts: nn.Module,
    ) -> None:
        super().__init__()
        for name, part in parts.items():
            if not isinstance(part, nn.Module):
                raise TypeError(f'EMATeacher has no argument {name!r}, and {part!r} is not a module to average')
        if schedule not in _SCHEDULES:
            raise ValueError(f"schedule must be 'cosine', 'linear', 'constant' or 'truncated', got {schedule!r}")
        for value in (momentum, end_momentum):
            if not 0 <= value <= 1:
                raise ValueError(f'momentum, the weight of the old value, must lie in [0, 1], got {value}')
        if not (0 <= warmup < 1 and 0 < cosine_part <= 1):
            raise ValueError(f'warmup must lie in [0, 1) and cosine_part in (0, 1], got {warmup} and {cosine_part}')
        self.truncation = dict(warmup=warmup, part=cosine_part) if schedule == 'truncated' else {}
        self.momentum = momentum
        self.end_momentum = end_momentum
        self.schedule = schedule
        for name, part in parts.items():
            self.add_module(name, deepcopy(part).requires_grad_(False))
        self.copy_buffers = copy_buffers
        if not drop_path:
            for module in self.modules():
                if isinstance(module, DropPath):
                    module.drop_prob = 0.0

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Applies the parts one after the other to images (N, 3, H, W), without gradient."""
        features = images
        for part in self.children():
            features = part(features)
        return features

    @torch.no_grad()
    def embed(self, views: Sequence[Tensor], joint: bool | str = 'auto') -> list[Any]:
        """Applies the parts to each view (N, 3, H, W), without gradient; see ``embed_views``."""
        return embed_views(list(self.children()), views, joint)

    @torch.no_grad()
    def update(self, progress: float, *, momentum: float | None = None, **students: nn.Module) -> None:
        """Averages the parameters of all parts; on a GPU this is one fused operation.

        Args:
            progress: Optimizer steps done / optimizer steps of the whole run, in (0, 1].
            momentum: Weight of the OLD value for this update; None follows the schedule.
            **students: The student's parts, under the names given to the constructor.
        """
        if momentum is None:
            momentum = _SCHEDULES[self.schedule](progress, self.momentum, self.end_momentum, **self.truncation)
        teacher: list[Tensor] = []
        student: list[Tensor] = []
        for name, part in students.items():
            teacher += self.get_submodule(name).parameters()
            student += part.parameters()
        get_ema_multi_avg_fn(momentum)(local_shards(teacher), local_shards(student), None)
        if self.copy_buffers:
            for name, part in students.items():
                for own, buffer in zip(self.get_submodule(name).buffers(), part.buffers()):
                    own.copy_(buffer)

    def copy_from(self, **students: nn.Module) -> None:
        """Copies the parameters and buffers of the student.

        The official codes copy parameters only, while the buffers of both still have their initial values. The result
        is the same, and copying the buffers is also right for a student that was loaded from a file.

        Args:
            **students: The student's parts, under the names given to the constructor.
        """
        for name, part in students.items():
            self.get_submodule(name).load_state_dict(part.state_dict())

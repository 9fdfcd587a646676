"""Shuffled batches, so that norm statistics do not reveal which images belong together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmssl.distributed.collectives import gather_constant, rank, world_size
from mmssl.models.layers.sync_batch_norm import is_synchronised


class BatchShuffle(nn.Module):
    """Encodes images in random groups: shuffling BN of MoCo (arXiv:1911.05722, section 3.3).

    With several processes the images of all processes are gathered, every process encodes its share of a random
    permutation, and the outputs return to the process and position of their image. With one process a permutation has
    no effect, unless the batch is encoded in groups with their own norm statistics: the result is then that of several
    processes with ``group_size`` images each. Synchronised norm layers share their statistics over all images, so
    nothing is shuffled then.

    Args:
        group_size: Number of images per group; None uses all images of a process as one group.

    Raises:
        ValueError: ``group_size`` is less than 1.
    """

    def __init__(self, group_size: int | None = None) -> None:
        super().__init__()
        if group_size is not None and group_size < 1:
            raise ValueError(f'norm_group_size must be at least 1, or None for all images, got {group_size}')
        self.group_size = group_size

    @torch.no_grad()
    def forward(self, encoder: nn.Module, images: Tensor) -> Any:
        """Returns the encoder's output for images (N, 3, H, W), in the order of the images, without gradient.

        Args:
            encoder: Module: images -> tensor whose first dimension is N, or a tuple or named tuple of such tensors.
            images: (N, 3, H, W).

        Raises:
            ValueError: ``group_size`` does not divide the number of images of a process.
        """
        if problem := self.wrong_batch(len(images)):
            raise ValueError(problem)
        group_size = self.group_size or len(images)
        if group_size == len(images) * world_size() or any(map(is_synchronised, encoder.modules())):
            return encoder(images)
        order = self.permutation(len(images) * world_size(), images.device)
        share = _of_this_process(gather_constant(images)[order])
        outputs = [encoder(group) for group in share.split(group_size)]
        if isinstance(outputs[0], Tensor):
            return _in_order(outputs, order)
        make = getattr(type(outputs[0]), '_make', tuple)  # of a named tuple
        return make(_in_order(parts, order) for parts in zip(*outputs))

    def wrong_batch(self, images: int) -> str | None:
        """Returns why a batch of so many images per process is not possible; None if it is."""
        if not self.group_size or images % self.group_size == 0:
            return None
        return f'norm_group_size={self.group_size} must divide the {images} images of a process'

    def permutation(self, count: int, device: torch.device) -> Tensor:
        """Draws a permutation of ``count`` images, (count,) int64, the same on every process."""
        order = torch.randperm(count, device=device)
        if world_size() > 1:
            dist.broadcast(order, src=0)
        return order


def _in_order(groups: Sequence[Tensor], order: Tensor) -> Tensor:
    return _of_this_process(gather_constant(torch.cat(list(groups)))[order.argsort()])


def _of_this_process(tensor: Tensor) -> Tensor:
    return tensor.chunk(world_size())[rank()]

"""Shuffled batches, so that norm statistics do not tell which images belong together."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmssl.distributed.collectives import gather_constant, rank, world_size


class BatchShuffle:
    """Encodes images in random groups (shuffling BN of MoCo, arXiv:1911.05722, section 3.3).

    With several processes the images of all are gathered, every process encodes its share of one random permutation,
    and the outputs go back to where the images came from. With one process a permutation changes nothing unless the
    batch is encoded in groups, each with its own norm statistics, as ``group_size`` images per process would be.
    Nothing is shuffled when the norm layers are synchronised: all images share their statistics then.

    Args:
        group_size: Images per group; None makes one group of the images of a process.
    """

    def __init__(self, group_size: int | None = None) -> None:
        self.group_size = group_size

    @torch.no_grad()
    def __call__(self, encoder: nn.Module, images: Tensor) -> Tensor:
        """Returns the encoder's output (N, D) of images (N, 3, H, W), in their order, without gradient.

        Raises:
            ValueError: The images of a process do not make whole groups.
        """
        group_size = self.group_size or len(images)
        if len(images) % group_size:
            raise ValueError(f'group_size must divide the {len(images)} images of a process, got {group_size}')
        if group_size == len(images) * world_size() or any(map(_is_synchronised, encoder.modules())):
            return encoder(images)
        order = self.permutation(len(images) * world_size(), images.device)
        share = _of_this_process(gather_constant(images)[order])
        outputs = torch.cat([encoder(group) for group in share.split(group_size)])
        return _of_this_process(gather_constant(outputs)[order.argsort()])

    def permutation(self, count: int, device: torch.device) -> Tensor:
        """Draws an order of ``count`` images, the same on every process: (count,) int64."""
        order = torch.randperm(count, device=device)
        if world_size() > 1:
            dist.broadcast(order, src=0)
        return order


def _of_this_process(tensor: Tensor) -> Tensor:
    return tensor.chunk(world_size())[rank()]


def _is_synchronised(module: nn.Module) -> bool:
    return 'SyncBatchNorm' in type(module).__name__

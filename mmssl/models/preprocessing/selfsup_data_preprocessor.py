"""The data preprocessor: uint8 batches -> augmented, normalised batches on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmssl.models.preprocessing.photometric import run_programs
from mmssl.registry import PREPROCESSORS

_CHUNK_PIXELS = 2**16


@PREPROCESSORS.register_module()
class SelfSupDataPreprocessor(BaseDataPreprocessor):
    """Moves a batch to the device, runs the photometric programs of its views, and normalises.

    Views are written in ``memory_format``, an attribute that the runner sets to the format of the weights.

    Args:
        mean: Mean of red, green and blue, on the scale 0-255.
        std: Standard deviation of red, green and blue, on the scale 0-255. ``mean=[0, 0, 0], std=[255, 255, 255]``
            gives images in [0, 1], which SimCLR uses.
    """

    def __init__(
        self, mean: Sequence[float] = (123.675, 116.28, 103.53), std: Sequence[float] = (58.395, 57.12, 57.375)
    ) -> None:
        super().__init__(non_blocking=True)
        self.memory_format = torch.contiguous_format
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f'mean and std must be three numbers each, std positive, got {mean} and {std}')
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1) / 255, persistent=False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1) / 255, persistent=False)
        self.register_buffer('scale', 1 / self.std, persistent=False)
        self.register_buffer('shift', self.mean / self.std, persistent=False)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepares a batch.

        Args:
            data: Batch from ``collate_views``: ``inputs``, a list of views (N, 3, H, W) uint8 or one such tensor;
                optionally ``photometric``, a list of programs (N, steps, 2) float32 on the CPU, one per view;
                ``data_samples``.
            training: Not used; a batch is augmented if it has programs.

        Returns:
            ``inputs``, a list or a tensor as in ``data``, in float32, normalised, on the device; and ``data_samples``.
        """
        inputs = data['inputs']
        if isinstance(inputs, Tensor):
            prepared: Tensor | list[Tensor] = self.prepare(inputs)
        else:
            prepared = self.prepare_views(inputs, data.get('photometric') or [None] * len(inputs))
        return dict(inputs=prepared, data_samples=self.cast_data(data.get('data_samples')))

    def prepare_views(self, views: Sequence[Tensor], programs: Sequence[Tensor | None]) -> list[Tensor]:
        """Prepares the views of a batch; those of the same size together, because few large calls are fast on a GPU.

        Args:
            views: One batch (N, 3, H, W) uint8 per view.
            programs: One program (N, steps, 2) float32 on the CPU per view, or None.

        Returns:
            One batch (N, 3, H, W) per view as from ``prepare``.
        """
        alike: dict[Any, list[int]] = {}
        for place, (view, program) in enumerate(zip(views, programs)):
            alike.setdefault((view.shape, None if program is None else program.shape), []).append(place)
        prepared: dict[int, Tensor] = {}
        for places in alike.values():
            own = [program for place in places if (program := programs[place]) is not None]
            moved = torch.cat([views[place].to(self.device, non_blocking=True) for place in places])
            together = self.prepare(moved, torch.cat(own) if own else None)
            prepared |= zip(places, together.chunk(len(places)))
        return [prepared[place] for place in range(len(views))]

    def prepare(self, images: Tensor, programs: Tensor | None = None) -> Tensor:
        """Prepares images of one size.

        On a CPU a few images at a time pass through all operations, so that they stay in the cache.

        Args:
            images: (N, 3, H, W) uint8.
            programs: (N, steps, 2) float32 on the CPU, see ``run_programs``; None changes no colours.

        Returns:
            (N, 3, H, W) float32, normalised, on the device.
        """
        images = images.to(self.device, non_blocking=True)
        num_chunk = max(1, _CHUNK_PIXELS // images[0, 0].numel()) if self.device.type == 'cpu' else len(images)
        prepared = torch.empty(images.shape, dtype=torch.float32, device=self.device, memory_format=self.memory_format)
        for start in range(0, len(images), num_chunk):
            rows = slice(start, start + num_chunk)
            chunk = images[rows].to(torch.float32, memory_format=torch.contiguous_format).mul_(1 / 255)
            if programs is not None:
                with torch.autocast(self.device.type, enabled=False):  # bfloat16 is too coarse for colours
                    chunk = run_programs(chunk, programs[rows])
            torch.mul(chunk, self.scale, out=prepared[rows]).sub_(self.shift)
        return prepared

    def denormalize(self, images: Tensor) -> Tensor:
        """Converts normalised images to pixels (N, 3, H, W) uint8, for figures."""
        return (images * self.std + self.mean).clamp(0, 1).mul(255).round().to(torch.uint8)

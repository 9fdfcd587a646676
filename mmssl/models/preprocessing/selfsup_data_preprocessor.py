"""Batches of bytes -> augmented, normalised batches on the device."""

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

    Args:
        mean: Of red, green and blue, on the scale 0-255.
        std: Likewise. ``mean=[0, 0, 0], std=[255, 255, 255]`` leaves images in [0, 1], as SimCLR takes them.
    """

    def __init__(
        self, mean: Sequence[float] = (123.675, 116.28, 103.53), std: Sequence[float] = (58.395, 57.12, 57.375)
    ) -> None:
        super().__init__(non_blocking=True)
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f'mean and std must be three numbers each, std positive, got {mean} and {std}')
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1) / 255, persistent=False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1) / 255, persistent=False)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepares what ``collate_views`` returned.

        Args:
            data: ``inputs``, a list of uint8 (N, 3, H, W) views or one such batch; ``photometric``, a list of float32
                (N, steps, 2) programs on the CPU, one per view, or absent; ``data_samples``.
            training: Not used: a batch with programs is augmented, one without is not.

        Returns:
            ``inputs`` as float32 in the same arrangement, normalised, on the device, and ``data_samples``.
        """
        inputs = data['inputs']
        if isinstance(inputs, Tensor):
            prepared: Tensor | list[Tensor] = self.prepare(inputs)
        else:
            programs = data.get('photometric') or [None] * len(inputs)
            prepared = [self.prepare(view, program) for view, program in zip(inputs, programs)]
        return dict(inputs=prepared, data_samples=self.cast_data(data.get('data_samples')))

    def prepare(self, images: Tensor, programs: Tensor | None = None) -> Tensor:
        """Prepares one view.

        On a CPU a few images at a time go through everything, so that they stay in a core's cache meanwhile.

        Args:
            images: uint8 (N, 3, H, W).
            programs: float32 (N, steps, 2), on the CPU; None changes no colours.

        Returns:
            float32 (N, 3, H, W), normalised, on the device.
        """
        images = images.to(self.device, non_blocking=True)
        num_chunk = max(1, _CHUNK_PIXELS // images[0, 0].numel()) if self.device.type == 'cpu' else len(images)
        prepared = torch.empty(images.shape, dtype=torch.float32, device=self.device)
        for start in range(0, len(images), num_chunk):
            rows = slice(start, start + num_chunk)
            chunk = images[rows].to(torch.float32, memory_format=torch.contiguous_format).mul_(1 / 255)
            if programs is not None:
                with torch.autocast(self.device.type, enabled=False):  # 8 bits of bfloat16 are too few for colours
                    chunk = run_programs(chunk, programs[rows])
            torch.mul(chunk, 1 / self.std, out=prepared[rows]).sub_(self.mean / self.std)
        return prepared

    def denormalize(self, images: Tensor) -> Tensor:
        """Returns uint8 (N, 3, H, W) of normalised images, for looking at."""
        return (images * self.std + self.mean).clamp(0, 1).mul(255).round().to(torch.uint8)

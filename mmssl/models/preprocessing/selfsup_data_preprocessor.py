"""The data preprocessor: uint8 batches -> augmented, normalised batches on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmssl.datasets.bands import read_measured
from mmssl.models.preprocessing import photometric_triton
from mmssl.models.preprocessing.band_photometric import run_band_programs
from mmssl.models.preprocessing.photometric import run_programs
from mmssl.registry import PREPROCESSORS

_CHUNK_PIXELS = 2**16


@PREPROCESSORS.register_module()
class SelfSupDataPreprocessor(BaseDataPreprocessor):
    """Moves a batch to the device, runs the photometric programs of its views, and normalises.

    Views are written in ``memory_format``, an attribute that the runner sets to the format of the weights.

    Args:
        mean: Mean of red, green and blue, or of each band, on the scale 0-255. For samples of 16 bits 255 stands for
            65535, or for the white of the dataset's ``value_range``.
        std: Standard deviation of red, green and blue, or of each band, on the scale 0-255. ``mean=[0, 0, 0], std=[255,
            255, 255]`` gives images in [0, 1], which SimCLR uses.
        statistics: File of ``tools/misc/measure_images.py`` with ``mean`` and ``std``, instead of these arguments; the
            datasets have the ``value_range`` of the same file.
        shown: Indices of the three bands that figures show as red, green and blue, or of one that they show in grey;
            None means the first three, or the first of fewer.
        fused: Whether one Triton kernel changes the colours on a GPU with Triton; False uses torch's operations
            everywhere. Pixels differ by rounding, less than 1e-6 on the scale 0-1.

    Raises:
        ValueError: ``mean`` and ``std`` have different lengths, a ``std`` is not positive, all are on the scale 0-1, or
            ``shown`` does not name one or three bands.
    """

    def __init__(
        self,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        statistics: str | None = None,
        shown: Sequence[int] | None = None,
        fused: bool = True,
    ) -> None:
        super().__init__(non_blocking=True)
        self.memory_format = torch.contiguous_format
        self.statistics, self.measured_range = statistics, None
        if statistics is not None:
            mean, std, self.measured_range = read_measured(statistics, 'mean', 'std', optional=['value_range'])
        if not mean or len(mean) != len(std) or min(std) <= 0:
            raise ValueError(f'mean and std must be one number for each band, std positive, got {mean} and {std}')
        if max(std) < 1:
            raise ValueError(f'mean and std are on the scale 0-255, got std={list(std)}: multiply both by 255')
        self.num_bands = len(mean)
        self.fused = fused
        shown = range(3 if len(mean) >= 3 else 1) if shown is None else shown
        if not isinstance(shown, Sequence) or len(shown) not in (1, 3) or not set(shown) <= set(range(len(mean))):
            raise ValueError(f'shown must be a list of one or three of the bands 0 to {len(mean) - 1}, got {shown!r}')
        self.shown = tuple(shown)
        self.register_buffer('mean', torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1) / 255, persistent=False)
        self.register_buffer('std', torch.tensor(std, dtype=torch.float32).view(-1, 1, 1) / 255, persistent=False)
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
            images: (N, 3, H, W) uint8; with bands (N, C, H, W) uint8 or uint16.
            programs: (N, steps, 2) float32 on the CPU, see ``run_programs``; None changes no colours.

        Returns:
            (N, 3, H, W) float32, normalised, on the device; with bands (N, C, H, W).

        Raises:
            ValueError: The images have another number of bands than ``mean``, or another dtype.
        """
        if images.shape[1] != self.num_bands:
            raise ValueError(
                f'images have {images.shape[1]} bands and model.data_preprocessor.mean has {self.num_bands}: set bands '
                'of the datasets, in_channels of the backbone, and mean and std to the same number'
            )
        if images.dtype not in (torch.uint8, torch.uint16):
            raise ValueError(f'images must be bytes (uint8), or bands of 16 bits (uint16), got {images.dtype}')
        run = run_programs if self.num_bands == 3 else run_band_programs
        if self.uses_kernel:
            run = photometric_triton.run_programs
        images = images.to(self.device, non_blocking=True)
        num_chunk = max(1, _CHUNK_PIXELS // images[0, 0].numel()) if self.device.type == 'cpu' else len(images)
        prepared = torch.empty(images.shape, dtype=torch.float32, device=self.device, memory_format=self.memory_format)
        for start in range(0, len(images), num_chunk):
            rows = slice(start, start + num_chunk)
            chunk = images[rows].to(torch.float32, memory_format=torch.contiguous_format).mul_(1 / _white(images))
            if programs is not None:
                with torch.autocast(self.device.type, enabled=False):  # bfloat16 is too coarse for colours
                    chunk = run(chunk, programs[rows])
            torch.mul(chunk, self.scale, out=prepared[rows]).sub_(self.shift)
        return prepared

    @property
    def uses_kernel(self) -> bool:
        """Whether a Triton kernel changes the colours."""
        return self.fused and self.num_bands == 3 and self.device.type == 'cuda' and photometric_triton.works()

    def denormalize(self, images: Tensor) -> Tensor:
        """Converts normalised images to pixels (N, 3, H, W) uint8, for figures: all colours, or the bands ``shown``."""
        return self._shown(images * self.std + self.mean)

    def picture(self, images: Tensor) -> Tensor:
        """Converts images of a dataset to pixels for figures, see ``denormalize``.

        Args:
            images: (N, C, H, W) uint8 or uint16.

        Returns:
            (N, 3, H, W) uint8.
        """
        return self._shown(images.float() / _white(images))

    def _shown(self, pixels: Tensor) -> Tensor:
        if self.num_bands != 3 or self.shown != (0, 1, 2):
            pixels = pixels[:, list(self.shown)].expand(-1, 3, -1, -1)
        return pixels.clamp(0, 1).mul(255).round().to(torch.uint8)


def _white(images: Tensor) -> int:
    """Returns the largest sample of the type of the images."""
    return 255 if images.dtype == torch.uint8 else 65535

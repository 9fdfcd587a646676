"""Windows that slide over one view, and the same regions in another view of the image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmssl.models.layers.crops import map_points
from mmssl.utils.errors import UserError


@dataclass(frozen=True)
class SlidingWindows:
    """A grid of square windows in a view (ReSim, arXiv:2103.12902, section 3).

    Args:
        side: Side of a window in pixels of the view.
        stride: Distance of neighbouring windows in pixels of the view.
        bank: Negatives of a window: the positions of the keys of all processes, ``'global'``, or of this process alone,
            ``'process'``.

    Raises:
        ValueError: A number is not positive, or ``bank`` is unknown.
    """

    side: int
    stride: int
    bank: str = 'global'

    def __post_init__(self) -> None:
        if self.side < 1 or self.stride < 1:
            raise ValueError(f'side and stride of windows must be at least 1 pixel, got {self.side}, {self.stride}')
        if self.bank not in ('global', 'process'):
            raise ValueError(f"bank must be 'global' or 'process', got {self.bank!r}")

    def boxes(self, size: int, device: torch.device | str = 'cpu') -> Tensor:
        """Returns the windows of a view of ``size`` pixels, (W, 4) float64: x0, y0, x1, y1, row by row.

        As in the official code, a window that ends at the border of the view is left out.

        Raises:
            UserError: The view is too small for a window.
        """
        places = torch.arange(0, max(size - self.side, 0), self.stride, dtype=torch.float64, device=device)
        if not len(places):
            raise UserError(f'a view of {size} pixels is too small for windows of {self.side} pixels: change windows')
        y, x = torch.meshgrid(places, places, indexing='ij')
        corner = torch.stack([x.flatten(), y.flatten()], dim=1)
        return torch.cat([corner, corner + self.side], dim=1)

    def map(self, size: int, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Finds the regions of the windows of the first view in the second view.

        Args:
            size: Side of both views in pixels.
            crops: (N, 2, 5), the crops of both views, see ``map_points``.

        Returns:
            Boxes in the second view, (N, W, 4) float64 in pixels, and (N, W) bool, whether the region lies inside the
            second view. A region that does not has the box (0, 0, 1, 1).
        """
        crops = crops.double()
        corners = self.boxes(size, crops.device).view(-1, 2) / size  # both corners of each window
        mapped = map_points(corners.expand(len(crops), -1, -1), crops[:, 0], crops[:, 1]) * size
        mapped = mapped.unflatten(1, (-1, 2))  # (N, W, corner, x and y)
        low, high = mapped.amin(dim=2), mapped.amax(dim=2)  # a flip exchanges left and right
        inside = (low >= 0).all(-1) & (high < size).all(-1)
        nowhere = torch.tensor([0.0, 0, 1, 1], dtype=mapped.dtype, device=mapped.device)
        return torch.where(inside[..., None], torch.cat([low, high], dim=-1), nowhere), inside

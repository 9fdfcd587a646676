"""Chooses the figure of what a method compares in two views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.figure import Figure

from mmssl.datasets.base import ImageDataset
from mmssl.utils.errors import UserError
from mmssl.visualization.correspondence import correspondence_figure
from mmssl.visualization.region_windows import window_figure
from mmssl.visualization.saliency import saliency_figure

# Member of an algorithm -> the figure that it makes possible.
_FIGURES: dict[str, Callable[..., Figure]] = dict(
    match_views=correspondence_figure, windows=window_figure, attention=saliency_figure
)


def compared_views_figure(algorithm: Any, dataset: ImageDataset, indices: Sequence[int], epoch: int = 0) -> Figure:
    """Draws the correspondence (DenseCL), the windows (ReSim) or the saliency (CAST) of two views of images.

    Args:
        algorithm: Algorithm with one of the members ``match_views``, ``windows`` and ``attention``.
        dataset: Training dataset of the algorithm.
        indices: Indices of the images in the dataset.
        epoch: Epoch that selects the random crops and colours.

    Raises:
        UserError: The algorithm has none of these members.
    """
    for member, figure in _FIGURES.items():
        if hasattr(algorithm, member):
            return figure(algorithm, dataset, indices, epoch)
    raise UserError(
        f'{type(algorithm).__name__} compares no places of two views: use a method such as DenseCL, ReSim or CAST'
    )

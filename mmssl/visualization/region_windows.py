"""Draws windows of one view and the same regions in the other view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmssl.datasets.base import ImageDataset
from mmssl.visualization.style import INK, LINES, spread
from mmssl.visualization.view_pairs import GAP, draw_pairs, drawn_crops, first_views


def window_figure(
    algorithm: Any, dataset: ImageDataset, indices: Sequence[int], epoch: int = 0, num_windows: int = 4
) -> Figure:
    """Draws two views of images, and in both, in one colour each, regions that the algorithm compares.

    The regions are those of the coarsest windows, ``algorithm.windows[-1]``. The title counts the windows that lie in
    both views among all; of these, ``num_windows`` are drawn.

    Args:
        algorithm: Algorithm with ``windows``, a list of ``SlidingWindows``.
        dataset: Training dataset with two views of one size.
        indices: Indices of the images in the dataset.
        epoch: Epoch that selects the random crops and colours.
        num_windows: Largest number of windows that are drawn in an image.
    """
    views = first_views(algorithm, dataset, indices, epoch)
    size, windows = views[0].shape[-1], algorithm.windows[-1]
    boxes = windows.boxes(size) / size
    regions, visible = windows.map(size, drawn_crops(dataset, indices, epoch))
    figure, cells = draw_pairs([algorithm.data_preprocessor.denormalize(view) for view in views])
    for number, cell in enumerate(cells):
        seen = visible[number].nonzero().flatten()
        for colour, index in zip(LINES, seen[spread(len(seen), num_windows)].tolist() if len(seen) else []):
            for offset, (x0, y0, x1, y1) in (
                (0.0, boxes[index].tolist()),
                (1 + GAP, (regions[number, index] / size).tolist()),
            ):
                cell.add_patch(
                    Rectangle((offset + x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.5)
                )
        cell.set_title(f'{len(seen)} of {len(boxes)}', fontsize=9, color=INK)
    return figure

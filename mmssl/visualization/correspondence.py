"""Draws which positions of two views a method takes for the same place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from mmssl.datasets.base import ImageDataset
from mmssl.datasets.collate_views import collate_views
from mmssl.evaluation.extract import evaluating
from mmssl.models.layers.crops import map_points
from mmssl.visualization.style import BAD, GOOD, INK, new_figure

_COLUMNS = 4
_GAP = 0.15  # between the two views, in widths of a view


def drawn_crops(dataset: ImageDataset, indices: Sequence[int], epoch: int = 0) -> Tensor:
    """Returns the crops of the first two views of images, (N, 2, 5): left, top, width, height, flipped.

    Args:
        dataset: Training dataset whose views have a ``box`` and are ``flipped`` or not.
        indices: Indices of the images in the dataset.
        epoch: Epoch that selects the random crops.
    """
    rows = []
    for index in indices:
        for drawn in dataset.draw_views(epoch, index, dataset.load(index).shape[:2])[:2]:
            top, left, height, width = drawn.box
            rows.append([left, top, width, height, drawn.flipped])
    return torch.tensor(rows, dtype=torch.float32).view(len(indices), 2, 5)


def correct_matches(matches: Tensor, crops: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Compares matched positions with the places that the crops give.

    Args:
        matches: (N, L) int64, position of the second view that is matched with each position of the first.
        crops: (N, 2, 5), see ``drawn_crops``.
        grid: Rows and columns of the positions of both views, L = rows * columns.

    Returns:
        Two (N, L) bool: whether the place lies in the second view too, and whether the match is at most one position
        (also diagonally) from the right place.
    """
    rows, columns = grid
    places = position_centres(grid).expand(len(matches), -1, -1)
    true = map_points(places, crops[:, 0], crops[:, 1])  # (N, L, 2)
    shared = ((true >= 0) & (true < 1)).all(-1)
    found = position_centres(grid)[matches.cpu()]
    distance = ((found - true).abs() * torch.tensor([columns, rows])).amax(-1)
    return shared, shared & (distance <= 1.0)


def position_centres(grid: tuple[int, int]) -> Tensor:
    """Returns the centres of the positions of a map, (L, 2), x and y in [0, 1]."""
    rows, columns = grid
    y, x = torch.meshgrid((torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing='ij')
    return torch.stack([x.flatten(), y.flatten()], dim=-1)


@torch.no_grad()
def correspondence_figure(algorithm: Any, dataset: ImageDataset, indices: Sequence[int], epoch: int = 0) -> Figure:
    """Draws two views of images with lines between the positions that an algorithm matches.

    A line is drawn for each position of the first view whose place lies in the second view: green if the match is at
    most one position from the right place, else red.

    Args:
        algorithm: Algorithm with ``match_views(views) -> (N, L)`` and a backbone that returns maps.
        dataset: Training dataset with at least two views of one size.
        indices: Indices of the images in the dataset.
        epoch: Epoch that selects the random crops and colours.
    """
    views = algorithm.data_preprocessor(collate_views([dataset[epoch, index] for index in indices]), True)['inputs'][:2]
    with evaluating(algorithm):
        matches = algorithm.match_views(views).cpu()
        grid = tuple(algorithm.backbone(views[0][:1])[-1].shape[-2:])
    shared, correct = correct_matches(matches, drawn_crops(dataset, indices, epoch), grid)
    pictures = [algorithm.data_preprocessor.denormalize(view).cpu().permute(0, 2, 3, 1).numpy() for view in views]
    columns = min(_COLUMNS, len(indices))
    rows = -(-len(indices) // columns)
    figure = new_figure(3.0 * columns, 1.75 * rows)
    axes = figure.subplots(rows, columns, squeeze=False)
    for cell in axes.flat:
        cell.set_axis_off()
    centres = position_centres(grid)
    for number, cell in enumerate(axes.flat[: len(indices)]):
        for offset, picture in zip((0.0, 1 + _GAP), pictures):
            cell.imshow(picture[number], extent=(offset, offset + 1, 1, 0))
        for position in shared[number].nonzero().flatten().tolist():
            (x, y), (u, v) = centres[position].tolist(), centres[matches[number, position]].tolist()
            colour = GOOD if correct[number, position] else BAD
            cell.plot([x, u + 1 + _GAP], [y, v], color=colour, linewidth=0.7, marker='o', markersize=1.5)
        cell.set(xlim=(-0.02, 2.02 + _GAP), ylim=(1.02, -0.02))
        cell.set_title(f'{int(correct[number].sum())} of {int(shared[number].sum())}', fontsize=9, color=INK)
    return figure

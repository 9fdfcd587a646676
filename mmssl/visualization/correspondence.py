"""Draws which positions of two views a method takes for the same place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from mmssl.datasets.base import ImageDataset
from mmssl.evaluation.extract import evaluating
from mmssl.models.layers.crops import map_points
from mmssl.visualization.style import BAD, GOOD, INK
from mmssl.visualization.view_pairs import GAP, draw_pairs, drawn_crops, first_views


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
    places = position_centres(grid)
    true = map_points(places.expand(len(matches), -1, -1), crops[:, 0], crops[:, 1])  # (N, L, 2)
    shared = ((true >= 0) & (true < 1)).all(-1)
    distance = ((places[matches] - true).abs() * torch.tensor([columns, rows])).amax(-1)
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
    most one position from the right place, else red. The title counts the green lines among all.

    Args:
        algorithm: Algorithm with ``match_views(views) -> (N, L)`` and a backbone that returns maps.
        dataset: Training dataset with at least two views of one size.
        indices: Indices of the images in the dataset.
        epoch: Epoch that selects the random crops and colours.
    """
    views = first_views(algorithm, dataset, indices, epoch)
    with evaluating(algorithm):
        matches = algorithm.match_views(views).cpu()
        grid = tuple(algorithm.backbone(views[0][:1])[-1].shape[-2:])
    shared, correct = correct_matches(matches, drawn_crops(dataset, indices, epoch), grid)
    figure, cells = draw_pairs([algorithm.data_preprocessor.denormalize(view) for view in views])
    centres = position_centres(grid)
    for number, cell in enumerate(cells):
        for position in shared[number].nonzero().flatten().tolist():
            (x, y), (u, v) = centres[position].tolist(), centres[matches[number, position]].tolist()
            colour = GOOD if correct[number, position] else BAD
            cell.plot([x, u + 1 + GAP], [y, v], color=colour, linewidth=0.7, marker='o', markersize=1.5)
        cell.set_title(f'{int(correct[number].sum())} of {int(shared[number].sum())}', fontsize=9, color=INK)
    return figure

"""Draws curves of the same methods in several toolboxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmssl.visualization.style import LINES, new_figure, tidy


def plot_peer_curves(table: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draws loss and kNN accuracy over the images seen: the median over seeds, and the least to the most as a band.

    Args:
        table: Method -> toolbox -> curves with the attributes ``images``, ``accuracies``, ``loss_images`` and
            ``losses``; the last two of each pair hold one row per seed.
    """
    figure = new_figure(2.3 * len(table) + 0.6, 4.4)
    panels = figure.subplots(2, len(table), squeeze=False)
    toolboxes = list(dict.fromkeys(name for curves in table.values() for name in curves))
    for column, (method, curves) in enumerate(table.items()):
        for name, own in curves.items():
            colour = LINES[toolboxes.index(name) % len(LINES)]
            _draw(panels[0, column], own.loss_images, own.losses, name, colour)
            _draw(panels[1, column], own.images, own.accuracies, name, colour)
        tidy(panels[0, column], method, ylabel='' if column else 'loss')
        tidy(panels[1, column], '', xlabel='images seen', ylabel='' if column else 'kNN in %')
    panels[0, 0].legend(fontsize=8, frameon=False)
    return figure


def _draw(axes: Axes, x: Sequence[float], rows: Sequence[Sequence[float]], name: str, colour: str) -> None:
    columns = list(zip(*rows))
    axes.plot(x, [median(column) for column in columns], color=colour, linewidth=1.5, label=name)
    least, most = [min(column) for column in columns], [max(column) for column in columns]
    axes.fill_between(x, least, most, color=colour, alpha=0.2, linewidth=0)

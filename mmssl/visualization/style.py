"""Colours, axes and output that all figures share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

DPI = 110
INK, FAINT, GOOD, BAD = '#222831', '#d5d9de', '#2a9d5c', '#d1495b'
LINES = ('#2f6db3', '#e07a1f', '#2a9d5c', '#8a5fbf', '#d1495b', '#4c5a67')


def spread(size: int, count: int) -> Tensor:
    """Returns min(``count``, ``size``) positions spread evenly over 0 to ``size`` - 1: (K,) int64, ascending."""
    return (2 * torch.arange(min(count, size)) + 1) * size // (2 * min(count, size))


def new_figure(width: float, height: float) -> Figure:
    """Returns an empty figure of ``width`` x ``height`` inches, made without pyplot: no window, no global state."""
    return Figure(figsize=(width, height), layout='constrained', facecolor='white')


def tidy(axes: Axes, title: str, xlabel: str = '', ylabel: str = '') -> None:
    """Sets the title and the axis labels, draws a faint grid and hides the upper and right spine."""
    axes.set_title(title, loc='left', fontsize=11, color=INK, fontweight='bold')
    axes.set_xlabel(xlabel, fontsize=9, color=INK)
    axes.set_ylabel(ylabel, fontsize=9, color=INK)
    axes.tick_params(labelsize=8, colors=INK, length=3)
    axes.grid(True, color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ('left', 'bottom'))
        spine.set_color(FAINT)


def class_colours(num_classes: int) -> list[tuple[float, ...]]:
    """Returns one RGBA colour per class: matplotlib's ``tab20`` for up to 20 classes, evenly spaced hues for more."""
    if num_classes <= 20:
        return [colormaps['tab20'](i) for i in range(num_classes)]
    return [colormaps['hsv'](i / num_classes) for i in range(num_classes)]


def save_figure(figure: Figure, path: str | Path) -> None:
    """Writes ``figure`` to ``path``; the suffix chooses the format, and a missing folder is created."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)


def figure_pixels(figure: Figure) -> np.ndarray:
    """Returns the pixels of ``figure``, uint8 RGB (H, W, 3)."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]

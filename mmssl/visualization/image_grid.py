"""Draws images in rows and columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from mmssl.visualization.style import BAD, FAINT, GOOD, INK, new_figure

_CHARACTERS = 11  # characters of a title per inch


def _wrap(title: str, side: float) -> str:
    """Wraps the lines of a title to a column of ``side`` inches."""
    width = max(int(_CHARACTERS * side), 1)
    return '\n'.join(part for line in title.split('\n') for part in textwrap.wrap(line, width) or [''])


def image_grid(
    rows: Tensor,
    titles: Sequence[str],
    *,
    labels: Sequence[str] = (),
    marks: Tensor | None = None,
    gaps: Sequence[int] = (),
    side: float = 0.9,
) -> Figure:
    """Draws images in rows and columns.

    Args:
        rows: Images (R, C, 3, H, W), float in [0, 1] or uint8.
        titles: One title per column; a title may be empty.
        labels: One label per row, or empty for no labels.
        marks: (R, C) int64: 1 draws a green frame around the image, 0 a red one, -1 none.
        gaps: Indices of the columns that have a gap before them.
        side: Side of an image in inches.
    """
    pixels = rows.float().div(255) if rows.dtype == torch.uint8 else rows.float()
    pictures = pixels.clamp(0, 1).permute(0, 1, 3, 4, 2).cpu().numpy()
    num_rows, num_columns = pictures.shape[:2]
    gap = 0.27 / side
    titles = [_wrap(title, side) for title in titles]
    lines = max((title.count('\n') + 1 for title in titles), default=1)
    widths = [width for column in range(num_columns) for width in ([gap, 1.0] if column in gaps else [1.0])]
    left = 1.25 if labels else 0.05
    figure = new_figure(left + side * sum(widths), 0.2 + 0.18 * lines + side * num_rows)
    figure.set_layout_engine('constrained', w_pad=0.02, h_pad=0.04, wspace=0.0, hspace=0.0)
    axes = figure.subplots(num_rows, len(widths), squeeze=False, gridspec_kw=dict(width_ratios=widths))
    for row in range(num_rows):
        cells = iter(axes[row])
        for column in range(num_columns):
            if column in gaps:
                next(cells).set_axis_off()
            cell = next(cells)
            cell.imshow(pictures[row, column], interpolation='antialiased')
            cell.set(xticks=[], yticks=[], anchor='S')  # at the bottom of the cell: titles need the space above
            mark = -1 if marks is None else int(marks[row, column])
            for spine in cell.spines.values():
                spine.set(color=(FAINT, BAD, GOOD)[mark + 1], linewidth=0.8 if mark < 0 else 2.5)
            if row == 0 and titles[column]:
                cell.set_title(titles[column], fontsize=9, color=INK, fontweight='bold')
            if column == 0 and labels:
                cell.set_ylabel(labels[row], rotation=0, ha='right', va='center', fontsize=9, color=INK)
    return figure

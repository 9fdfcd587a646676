"""Draws a leaderboard: one row per method, one panel per metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.figure import Figure

from mmssl.visualization.style import FAINT, GOOD, INK, new_figure, tidy


def plot_leaderboard(
    rows: Sequence[tuple[str, Mapping[str, Sequence[float]]]], metrics: Mapping[str, str], references: Sequence[str]
) -> Figure:
    """Draws a bar at the mean and a dot per seed; the bars of references are grey.

    Args:
        rows: Names and scores, metric -> one value in % per seed, from the top to the bottom.
        metrics: Metric -> title of its panel.
        references: Names of the rows that are no methods.
    """
    figure = new_figure(3.4 * len(metrics) + 1.6, 0.28 * len(rows) + 1.0)
    panels = figure.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for axes, (metric, title) in zip(panels, metrics.items()):
        for place, (name, scores) in enumerate(rows):
            values = scores.get(metric)
            if not values:
                continue
            colour = INK if name in references else GOOD
            axes.barh(place, fmean(values), height=0.7, color=colour, alpha=0.25)
            axes.plot(values, [place] * len(values), 'o', color=colour, markersize=3.5)
            axes.annotate(
                f'{fmean(values):.1f}', (max(values), place), xytext=(5, 0), textcoords='offset points', va='center',
                fontsize=8,
            )  # fmt: skip
        tidy(axes, title, xlabel='accuracy in %')
        axes.set_xlim(0, 108)
        axes.grid(False, axis='y')
        axes.axvline(0, color=FAINT)
    panels[0].set_yticks(range(len(rows)), [name for name, _ in rows])
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    return figure

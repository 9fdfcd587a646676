"""Draws a leaderboard: all metrics with one row per method, or one metric before and after pre-training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.figure import Figure

from mmssl.visualization.style import FAINT, GOOD, INK, LINES, new_figure, tidy


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


def plot_gains(
    rows: Sequence[tuple[str, Sequence[float], Sequence[float]]], title: str, knows_labels: Sequence[str]
) -> Figure:
    """Draws a column per method: its random network, its trained network with a dot per seed, and a line between.

    Args:
        rows: Names, accuracies in % before the training, and after it, one per seed; the first is drawn at the left.
            Without an accuracy before, the line is missing.
        title: Title of the figure.
        knows_labels: Names of rows that train with labels; they have another colour.
    """
    figure = new_figure(max(5.0, 0.2 * len(rows) + 1.4), 3.9)
    axes = figure.subplots()
    for place, (name, before, after) in enumerate(rows):
        colour = LINES[0] if name in knows_labels else GOOD
        if before:
            axes.plot([place] * 2, [fmean(before), fmean(after)], color=colour, alpha=0.35, linewidth=2)
            axes.plot(place, fmean(before), 'o', color=INK, markersize=4)
        axes.plot([place] * len(after), after, 'o', color=colour, markersize=3.5)
    for label, colour in (('random network', INK), ('pre-trained, each seed', GOOD), ('trained with labels', LINES[0])):
        axes.plot([], [], 'o', color=colour, markersize=4, label=label)
    axes.legend(loc='lower left', fontsize=8, frameon=False)
    tidy(axes, title, ylabel='accuracy in %')
    axes.grid(False, axis='x')
    axes.set_xticks(range(len(rows)), [name for name, *_ in rows], rotation=90)
    axes.set_xlim(-0.7, len(rows) - 0.3)
    return figure

"""Columns of methods before and after pre-training: where the points stand, and what is missing."""

from __future__ import annotations

from matplotlib.colors import to_hex

from mmssl.visualization.leaderboard_chart import plot_gains
from mmssl.visualization.style import GOOD, INK, LINES


def test_a_column_shows_the_random_network_and_each_seed() -> None:
    rows = [('labels', [60.0], [95.0]), ('method', [60.0, 70.0], [80.0, 84.0]), ('unknown before', [], [75.0])]
    (axes,) = plot_gains(rows, 'Linear probe', ['labels']).axes
    drawn = [
        (list(line.get_xdata()), list(line.get_ydata()), to_hex(line.get_color()))
        for line in axes.lines
        if len(line.get_xdata())
    ]
    assert drawn == [
        ([0, 0], [60.0, 95.0], LINES[0]),
        ([0], [60.0], INK),
        ([0], [95.0], LINES[0]),
        ([1, 1], [65.0, 82.0], GOOD),
        ([1], [65.0], INK),
        ([1, 1], [80.0, 84.0], GOOD),
        ([2], [75.0], GOOD),
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == ['labels', 'method', 'unknown before']
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        'random network',
        'pre-trained, each seed',
        'trained with labels',
    ]

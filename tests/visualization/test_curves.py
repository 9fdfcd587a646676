"""Curves: what is read from a log and what is drawn of it."""

from pathlib import Path

import pytest

from mmssl.utils.scalars import read_scalars
from mmssl.visualization.curves import plot_curves, series

ENTRIES = [
    dict(step=10, loss=5.0, lr=0.1),
    dict(step=1, knn_top1=60.0, rankme=8.0),
    dict(step=20, loss=4.0, lr=0.2),
    dict(step=2, knn_top1=70.0, linear_top1=80.0, rankme=9.0),
]


def test_a_log_cut_short_is_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / 'scalars.json'
    path.write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "lo')
    assert read_scalars(path) == [dict(step=1, loss=2.5)]


def test_series_keeps_order_and_leaves_out_other_entries() -> None:
    assert series(ENTRIES, 'loss') == ([10, 20], [5.0, 4.0])
    assert series(ENTRIES, 'linear_top1') == ([2], [80.0])


def test_panels_with_values_are_drawn_with_them() -> None:
    figure = plot_curves(ENTRIES)
    titles = [axes.get_title(loc='left') for axes in figure.axes]
    assert titles == ['Loss', 'Learning rate', 'Accuracy while training', 'Effective rank of embeddings']
    assert [axes.get_xlabel() for axes in figure.axes] == ['iteration', 'iteration', 'epoch', 'epoch']
    knn, linear = figure.axes[2].lines
    assert knn.get_ydata().tolist() == [60, 70] and linear.get_xdata().tolist() == [2]
    assert [text.get_text() for text in figure.axes[2].get_legend().get_texts()] == ['kNN', 'linear']


def test_a_log_without_values_is_refused() -> None:
    with pytest.raises(ValueError, match='no values'):
        plot_curves(ENTRIES, panels=['spread'])

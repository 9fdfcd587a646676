"""Draws training curves."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from mmssl.visualization.style import LINES, new_figure, tidy

LABELS = dict(knn_top1='kNN', linear_top1='linear', linear10_top1='linear, 10 labels')
LABELS |= dict(nmi='with classes', nmi_previous='with the labels before')
PANELS = {
    'loss': ('Loss', 'loss', ('loss',)),
    'lr': ('Learning rate', '', ('lr',)),
    'accuracy': ('Accuracy while training', 'per cent', ('knn_top1', 'linear_top1', 'linear10_top1')),
    'clusters': ('Mutual information of clusters', 'NMI', ('nmi', 'nmi_previous')),
    'spread': ('Embedding spread (0 = collapsed)', 'std, 1 = isotropic', ('embedding_std',)),
    'rank': ('Effective rank of embeddings', 'RankMe', ('rankme',)),
}


def series(entries: Sequence[dict], key: str) -> tuple[list[float], list[float]]:
    """Returns the steps and the values of ``key`` in the order of the log."""
    found = [(entry['step'], entry[key]) for entry in entries if key in entry and 'step' in entry]
    return [step for step, _ in found], [value for _, value in found]


def plot_curves(entries: Sequence[dict], panels: Sequence[str] = tuple(PANELS)) -> Figure:
    """Draws the panels for which the log has values: training over iterations, validation over epochs.

    Args:
        entries: Entries of the log, see ``read_scalars``.
        panels: Keys of ``PANELS``.

    Raises:
        ValueError: The log has no value for any of the panels.
    """
    drawn = {name: PANELS[name] for name in panels if any(series(entries, key)[0] for key in PANELS[name][2])}
    if not drawn:
        raise ValueError(f'the log has no values for {list(panels)}')
    figure = new_figure(3.6 * len(drawn), 2.9)
    for axes, (name, (title, ylabel, keys)) in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn.items()):
        training = keys[0] in ('loss', 'lr', 'nmi')
        for key, colour in zip(keys, LINES):
            steps, values = series(entries, key)
            if steps:
                axes.plot(
                    steps,
                    values,
                    color=colour,
                    linewidth=1.6,
                    marker='' if training else 'o',
                    markersize=3,
                    label=LABELS.get(key, key),
                )
        tidy(axes, title, 'iteration' if training else 'epoch', ylabel)
        if name == 'spread':
            axes.set_ylim(0, 1)
        if len(axes.lines) > 1:
            axes.legend(fontsize=8, frameon=False)
    return figure

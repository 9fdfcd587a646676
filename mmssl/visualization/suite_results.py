"""Draws the results of a suite of downstream protocols."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from mmssl.evaluation.suite import PRETRAINED, RANDOM, Protocol, Result, summarize
from mmssl.visualization.style import FAINT, GOOD, INK, new_figure, tidy

_SHOWN = {RANDOM: ('random init', INK), PRETRAINED: ('pre-trained', GOOD)}


def plot_suite(protocols: Sequence[Protocol], results: Sequence[Result]) -> Figure:
    """Draws one panel per protocol: random initialisation beside pre-trained, a dot per seed and a bar at the mean.

    Args:
        protocols: Protocols in the order of the panels.
        results: Results of the runs; runs without a value are left out.
    """
    figure = new_figure(3.0 * len(protocols), 3.0)
    summary = summarize(results)
    for axes, protocol in zip(figure.subplots(1, len(protocols), squeeze=False)[0], protocols):
        for place, (init, (_, colour)) in enumerate(_SHOWN.items()):
            own = [r.value for r in results if (r.protocol, r.init) == (protocol.name, init) and r.value is not None]
            if own:
                mean = summary[protocol.name][init][0]
                axes.bar(place, mean, width=0.6, color=colour, alpha=0.25)
                axes.plot([place] * len(own), own, 'o', color=colour, markersize=5)
                axes.annotate(f'{mean:.1f}', (place, max(own)), xytext=(0, 6), textcoords='offset points', ha='center')
            else:
                axes.annotate('no result', (place, 0), ha='center', color=FAINT)
        tidy(axes, protocol.title or protocol.name, ylabel=protocol.metric)
        axes.set_xticks(range(len(_SHOWN)), [label for label, _ in _SHOWN.values()])
        axes.set_xlim(-0.6, len(_SHOWN) - 0.4)
        axes.margins(y=0.15)
    return figure

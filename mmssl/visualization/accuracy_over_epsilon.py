"""Draws accuracy over the radius of an attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import nn
from torch.utils.data import DataLoader

from mmssl.evaluation.robustness import attack_images
from mmssl.models.components.pgd_attack import PGDAttack
from mmssl.visualization.style import LINES, new_figure, tidy


def accuracies_over_epsilon(
    model: nn.Module, dataloader: DataLoader, epsilons: Sequence[float], num_steps: int, norm: str = 'linf'
) -> list[float]:
    """Returns the accuracy in per cent under PGD for each radius; the step size is 2.5 * radius / ``num_steps``.

    Args:
        model: Algorithm with ``predict``.
        dataloader: Labelled images, see ``attack_images``.
        epsilons: Radii in pixel values of 0-255; a radius of 0 gives the accuracy on the images themselves.
        num_steps: Number of PGD steps.
        norm: ``'linf'`` or ``'l2'``.
    """
    attacks: dict[str, nn.Module] = {
        f'{epsilon:g}': PGDAttack(epsilon, 2.5 * epsilon / num_steps, num_steps, norm)
        for epsilon in epsilons
        if epsilon
    }
    attacked = attack_images(model, dataloader, attacks, 'attacks')
    assert attacked is not None, 'figures are drawn by one process'
    correct = [attacked.correct[f'{epsilon:g}'] if epsilon else attacked.clean for epsilon in epsilons]
    return [100 * found.double().mean().item() for found in correct]


def accuracy_over_epsilon(
    epsilons: Sequence[float], accuracies: Mapping[str, Sequence[float]], num_steps: int
) -> Figure:
    """Draws accuracy over the radius, one line per network.

    Args:
        epsilons: Radii in pixel values of 0-255.
        accuracies: Name of a network -> accuracy in per cent for each radius.
        num_steps: Number of PGD steps, for the title.
    """
    figure = new_figure(5.2, 3.4)
    axes = figure.subplots()
    for index, (name, values) in enumerate(accuracies.items()):
        axes.plot(
            epsilons, values, color=LINES[index % len(LINES)], marker='o', markersize=3.5, linewidth=1.8, label=name
        )
    tidy(axes, f'Accuracy under PGD-{num_steps}', 'largest change of a pixel, of 255', 'per cent')
    axes.set_ylim(0, 102)
    axes.legend(fontsize=8, frameon=False)
    return figure

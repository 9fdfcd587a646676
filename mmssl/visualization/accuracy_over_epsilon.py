"""How accuracy falls when an attack may change more."""

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
    """Accuracy in per cent under PGD for each radius, with steps of 2.5 radii / number of steps.

    Args:
        model: An algorithm with ``predict``.
        dataloader: As for ``attack_images``.
        epsilons: Radii in pixel values of 0-255; 0 is the image itself.
        num_steps: Steps of PGD.
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
    """Draws a line for each network.

    Args:
        epsilons: Radii in pixel values of 0-255.
        accuracies: Name of a network -> accuracy in per cent for each radius.
        num_steps: Steps of the attack, for the title.
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

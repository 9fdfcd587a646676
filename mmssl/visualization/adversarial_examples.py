"""Images, how an attack changes them, and what networks see in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from mmssl.evaluation.extract import evaluating
from mmssl.models.preprocessing.pixels import from_pixels
from mmssl.visualization.image_grid import image_grid


@dataclass
class AdversarialExamples:
    """N images after an attack on one network, on the CPU.

    Args:
        pixels: (N, 3, H, W) in [0, 255].
        before: Class of the image, (N,) int64.
        after: Class of the attacked image, (N,) int64.
    """

    pixels: Tensor
    before: Tensor
    after: Tensor


@torch.no_grad()
def attack_shown(model: nn.Module, attack: nn.Module, images: Tensor, labels: Tensor) -> AdversarialExamples:
    """Attacks images for a figure; modes, weights and random state stay as they are.

    Args:
        model: An algorithm with ``predict``.
        attack: An attack such as ``PGDAttack``.
        images: uint8 (N, 3, H, W).
        labels: (N,) int64.
    """
    device = next(model.parameters()).device
    pixels, labels = images.to(device).float(), labels.to(device)

    def predict(pixels: Tensor) -> Tensor:
        return model.predict(from_pixels(pixels, model.data_preprocessor))

    with evaluating(model):
        attacked = attack(predict, pixels, labels, torch.arange(len(labels), device=device))
        before, after = (predict(x).argmax(dim=1).cpu() for x in (pixels, attacked))
    return AdversarialExamples(attacked.cpu(), before, after)


def adversarial_figure(
    images: Tensor,
    labels: Tensor,
    examples: Mapping[str, AdversarialExamples],
    epsilon: float,
    classes: Sequence[str] | None = None,
) -> Figure:
    """Draws a row for each image: the image, and for each network the change (magnified) and the attacked image.

    A green frame means that the network finds the true class, a red one that it does not. The class that it finds
    stands below the image.

    Args:
        images: uint8 (N, 3, H, W).
        labels: (N,) int64.
        examples: Name of a network -> what the attack on it made of the images.
        epsilon: The change, in pixel values of 0-255, that is shown black or white.
        classes: Names of the classes; None shows numbers.
    """
    columns, marks = [images.float() / 255], [torch.full_like(labels, -1)]
    titles, gaps = ['image'], []
    captions = [[_name(label, classes) for label in labels.tolist()]]
    for name, example in examples.items():
        gaps.append(len(columns))
        change = (example.pixels - images) / epsilon
        columns += [change.clamp(-1, 1) / 2 + 0.5, example.pixels / 255]
        marks += [torch.full_like(labels, -1), (example.after == labels).long()]
        titles += [name, '']
        captions += [[''] * len(labels), [_name(label, classes) for label in example.after.tolist()]]
    rows, columns_of_marks = torch.stack(columns, dim=1), torch.stack(marks, dim=1)
    figure = image_grid(rows, titles, marks=columns_of_marks, gaps=gaps, side=1.35)
    shown = [axes for axes in figure.axes if axes.images]
    for axes, caption in zip(shown, [text for row in zip(*captions) for text in row]):
        axes.set_xlabel(caption, fontsize=8)
    return figure


def _name(label: int, classes: Sequence[str] | None) -> str:
    return str(label) if classes is None else classes[label]

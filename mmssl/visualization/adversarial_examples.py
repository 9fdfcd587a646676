"""Draws images, the changes that an attack makes, and the classes that networks predict for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
        pixels: Attacked images (N, 3, H, W) in [0, 255].
        before: Predicted class of each image, (N,) int64.
        after: Predicted class of each attacked image, (N,) int64.
    """

    pixels: Tensor
    before: Tensor
    after: Tensor


@torch.no_grad()
def attack_shown(model: Any, attack: nn.Module, images: Tensor, labels: Tensor) -> AdversarialExamples:
    """Attacks images for a figure; the model's modes and weights and the random state do not change.

    Args:
        model: Algorithm with ``predict``.
        attack: Attack such as ``PGDAttack``.
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
    """Draws one row per image: the image, then per network the magnified change and the attacked image.

    The frame of an attacked image is green if the network predicts the true class and red if not. The predicted class
    is written below.

    Args:
        images: uint8 (N, 3, H, W).
        labels: True classes (N,) int64.
        examples: Name of a network -> the images after the attack on this network.
        epsilon: Change in pixel values of 0-255 that is drawn black (minus) or white (plus).
        classes: Names of the classes; None writes their numbers.
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

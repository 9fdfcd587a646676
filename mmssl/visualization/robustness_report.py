"""Writes the sections of a report that compare classifiers under attack."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from mmssl.evaluation.robustness import RobustnessEvaluator
from mmssl.visualization.input_gradients import image_gradients, input_gradient_figure
from mmssl.visualization.report import Section
from mmssl.visualization.style import spread

ATTACKS: dict[str, dict] = dict(fgsm=dict(type='FGSMAttack'), pgd10=dict(type='PGDAttack', num_steps=10))
TITLES = dict(clean_top1='images', fgsm_top1='FGSM', pgd10_top1='PGD-10', robust_top1='robust')


class RobustnessReport:
    """Collects the input gradients and the accuracies of several networks, one call of ``add`` per network.

    Args:
        num_images: Number of images in the figure.
    """

    def __init__(self, num_images: int = 6) -> None:
        self.num_images = num_images
        self.gradients: dict[str, Tensor] = {}
        self.table = [['accuracy in %', *TITLES.values()]]

    def add(self, name: str, model: Any, dataloader: DataLoader) -> None:
        """Computes the input gradients of some test images and the accuracies under attack of a network.

        Does nothing if the network has no ``predict`` or if the images have no labels.

        Args:
            name: Name of the network in the report.
            model: Network to attack, an algorithm with ``predict``.
            dataloader: Test images, the same for all networks.
        """
        dataset: Any = dataloader.dataset
        rows = spread(len(dataset), self.num_images).tolist()
        if not hasattr(model, 'predict') or any(dataset.label(row) < 0 for row in rows):
            return
        items = [dataset[row] for row in rows]
        labels = torch.tensor([item['data_samples']['label'] for item in items])  # an unreadable image is replaced
        self.images = torch.stack([item['inputs'] for item in items])
        self.gradients[name] = image_gradients(model, self.images, labels)
        results = RobustnessEvaluator(ATTACKS).run(model, dataloader)
        assert results is not None, 'a report is written by one process'
        cells = [f'{results[key]:.1f}' if key in results else 'gradient masked' for key in TITLES]
        self.table.append([name, *cells])

    def sections(self) -> list[Section]:
        """Returns the sections of the report, an empty list if fewer than two networks were measured."""
        if len(self.gradients) < 2:
            return []
        return [
            Section(
                'Input gradients',
                'Test images, and how the loss of each network changes with their pixels: grey where it does not. The '
                'gradient of a robust network looks more like the object.',
                input_gradient_figure(self.images, self.gradients),
            ),
            Section(
                'Under attack',
                'Accuracy on test images whose pixels an attack has changed by up to 8 of 255. Robust: the image and '
                'all attacks on it are classified correctly.',
                table=self.table,
            ),
        ]

"""Supervised training of a classifier: linear probes and fine-tuning."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.adversarial_images import AdversarialImages
from mmssl.models.components.ema_teacher import EMATeacher
from mmssl.models.components.label_check import LabelCheck
from mmssl.models.layers.pooling import to_vector
from mmssl.registry import ALGORITHMS, COMPONENTS


@ALGORITHMS.register_module()
class ImageClassifier(BaseAlgorithm):
    """Classifier ``head(neck(backbone(images)), labels)``, whose head contains its loss, such as ``LinearClsHead``.

    With ``frozen`` it is a probe: backbone and neck are in evaluation mode and without gradient, so their weights and
    running statistics do not change, and the optimizer has only the parameters of the head.

    Args:
        frozen: Whether only the head is trained.
        mix: Config of a component that mixes images and labels, such as ``dict(type='BatchMix', num_classes=1000)``;
            None mixes nothing.
        attack: Config of an attack such as ``dict(type='PGDAttack', num_steps=7)``, which replaces the images with
            adversarial images (Madry et al., 2018, arXiv:1706.06083), computed in training mode as in the official
            code.
        average: Arguments of ``EMATeacher`` for a moving average of the weights, such as ``dict(momentum=0.9999,
            schedule='constant')``, where momentum is the weight of the OLD value. The average is evaluated instead of
            the trained network; its running statistics are copied from the trained network. None averages nothing.
        **slots: Arguments of ``BaseAlgorithm``.
    """

    views = Views(1)

    def __init__(
        self,
        *,
        frozen: bool = False,
        mix: dict | None = None,
        attack: dict | None = None,
        average: dict | None = None,
        **slots: Any,
    ) -> None:
        super().__init__(**slots)
        self.frozen = frozen
        self.mix = None if mix is None else COMPONENTS.build(mix)
        self.attack = None if attack is None else AdversarialImages(attack)
        self.average = None if average is None else EMATeacher(**dict(copy_buffers=True) | average, **self._parts())
        if frozen:
            self.backbone.requires_grad_(False)
            self.neck.requires_grad_(False)
        self.train()
        norms = [m for part in self._parts().values() for m in part.modules() if isinstance(m, _BatchNorm)]
        self.batch_coupled = 'batch norm' if any(norm.training for norm in norms) else None
        self.check_labels = LabelCheck(self.head.num_classes)

    def _parts(self) -> dict[str, Any]:
        return dict(backbone=self.backbone, neck=self.neck, head=self.head)

    def train(self, mode: bool = True) -> ImageClassifier:
        """Sets the mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
            self.neck.eval()
        return self

    def forward(
        self, inputs: Any, data_samples: dict | None = None, mode: str = 'tensor'
    ) -> dict[str, Tensor] | Tensor:
        """Calls ``predict``, which returns logits (N, C), for ``mode='predict'``, else ``BaseAlgorithm.forward``."""
        return self.predict(inputs) if mode == 'predict' else super().forward(inputs, data_samples, mode)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the head's loss for one view (N, 3, H, W) with labels.

        Raises:
            ValueError: An image of the first batch has no label, or its label is not a class of the head.
        """
        (images,) = views
        assert data_samples is not None, 'labels stand in data_samples'
        targets = data_samples['label']  # (N,)
        self.check_labels(targets)
        if self.attack is not None:
            images = self.attack(self, images, targets, data_samples['index'])
        if self.mix is not None:
            images, targets = self.mix(images, targets)  # targets (N, C)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features = self.neck(self.backbone(images))
        return dict(loss=self.head(features, targets))

    def extract_feat(self, images: Tensor) -> Tensor:
        """Returns the input of the head, pooled to vectors (N, D), for images (N, 3, H, W)."""
        return to_vector(self.neck(self.backbone(images)))

    def predict(self, images: Tensor) -> Tensor:
        """Returns logits (N, C) for images (N, 3, H, W), computed with the averaged weights if there are any."""
        model: Any = self if self.average is None else self.average
        return model.head.predict(model.neck(model.backbone(images)))

    def on_train_start(self) -> None:
        """Copies the weights into the average, and resets the attack's position, which may come from another run."""
        if self.attack is not None:
            self.attack.position.reset()
        if self.average is not None:
            self.average.copy_from(**self._parts())

    def on_step_end(self, progress: float) -> None:
        """Counts the step, which gives the attack another random start, and updates the average of the weights."""
        if self.attack is not None:
            self.attack.position.advance(progress)
        if self.average is not None:
            self.average.update(progress, **self._parts())

"""Training a classifier with labels: linear probes and fine-tuning."""

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
    """``head(neck(backbone(images)), labels)``: the head is a classifier with its loss, such as ``LinearClsHead``.

    With ``frozen`` it is a probe: backbone and neck are in evaluation mode and without gradient, so that neither a
    weight nor a running statistic of theirs changes, and the optimizer holds the head alone.

    Args:
        frozen: Whether the head alone trains.
        mix: Config of what mixes images and labels, such as ``dict(type='BatchMix', num_classes=1000)``, or None.
        attack: Config of an attack such as ``dict(type='PGDAttack', num_steps=7)``, which replaces the images by
            adversarial ones (Madry et al., 2018, arXiv:1706.06083), made in training mode as in the official code.
        average: Arguments of ``EMATeacher`` for a moving average of the weights, which is then what is evaluated:
            ``dict(momentum=0.9999, schedule='constant')``, momentum being the weight of the OLD value. Running
            statistics are those of the trained network. None averages nothing.
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
        """Sets the mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
            self.neck.eval()
        return self

    def forward(
        self, inputs: Any, data_samples: dict | None = None, mode: str = 'tensor'
    ) -> dict[str, Tensor] | Tensor:
        """As ``BaseAlgorithm``'s, but ``mode='predict'`` returns logits (N, C)."""
        return self.predict(inputs) if mode == 'predict' else super().forward(inputs, data_samples, mode)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the head's loss of one view (N, 3, H, W) and its labels.

        Raises:
            ValueError: An image of the first batch has no label, or one that is no class of the head.
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
        """Returns what the classifier is given, as vectors (N, D), of images (N, 3, H, W)."""
        return to_vector(self.neck(self.backbone(images)))

    def predict(self, images: Tensor) -> Tensor:
        """Returns logits (N, C) of images (N, 3, H, W), of the averaged weights where there are such."""
        model: Any = self if self.average is None else self.average
        return model.head.predict(model.neck(model.backbone(images)))

    def on_train_start(self) -> None:
        """Copies the weights into their average."""
        if self.average is not None:
            self.average.copy_from(**self._parts())

    def on_step_end(self, progress: float) -> None:
        """Moves the average towards the weights."""
        if self.attack is not None:
            self.attack.position.advance(progress)
        if self.average is not None:
            self.average.update(progress, **self._parts())

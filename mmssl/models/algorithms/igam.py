"""IGAM: transfer of robustness through input gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.label_check import LabelCheck
from mmssl.models.components.pixel_noise import add_pixel_noise
from mmssl.models.components.run_position import RunPosition
from mmssl.models.layers.input_gradient import check_grad_target, input_gradient
from mmssl.models.layers.reverse_gradient import reverse_gradient
from mmssl.models.layers.twice_differentiable import twice_differentiable
from mmssl.registry import ALGORITHMS, COMPONENTS


@ALGORITHMS.register_module()
class IGAM(BaseAlgorithm):
    """Input gradient adversarial matching (Chan, Tay and Ong, 2020, arXiv:1912.05699, section 3).

    The objective is ``CE + beta * (log D(J_t) + log(1 - D(J_s))) / 2 + gamma * |J_s - J_t|^2``. A student learns to
    classify natural images; in the last part of the run a discriminator D and a squared distance pull its input
    gradient J_s towards the J_t of a robust teacher. The unit of J is 1 / unit of the images, which recipes keep in
    0-255. Deviations from the official code:

    - the teacher is in evaluation mode (``statistics='batch'`` of ``FrozenClassifier`` is the official mode);
    - discriminator and student are updated together, by one backward pass with a reversed gradient; officially the
      discriminator is updated after the student, on the same images;
    - the distance is a mean over images; officially it is a sum over 32 images, and 32 gamma =
      ``difference_weight=320``.

    Args:
        teacher: Config of a ``FrozenClassifier`` with the student's classes.
        discriminator: Config of a ``GradientDiscriminator``.
        grad_target: Function of the true class whose gradient is J: ``'probability'`` (official code),
            ``'cross_entropy'`` (paper) or ``'logit'``.
        matching_start: Share of the run, in [0, 1), without matching of gradients; matching starts after it.
        adversarial_weight: Weight beta >= 0.
        difference_weight: Weight gamma >= 0 times the batch size for which gamma was chosen.
        discriminator_interval: Number of student steps per step of the discriminator.
        noise: Largest absolute value of uniform noise on the images of student and teacher, in pixel values of 0-255,
            during the whole run.
        **slots: Arguments of ``BaseAlgorithm``; the head is a classifier, such as ``LinearClsHead``.

    Raises:
        ValueError: An argument is outside its range; ``loss`` raises it for an image without label.
    """

    views = Views(1)
    batch_coupled = 'batch norm'
    second_order = True

    def __init__(
        self,
        *,
        teacher: dict,
        discriminator: dict,
        grad_target: str = 'probability',
        matching_start: float = 0.875,
        adversarial_weight: float = 2.0,
        difference_weight: float = 320.0,
        discriminator_interval: int = 5,
        noise: float = 0.0,
        **slots: Any,
    ) -> None:
        super().__init__(**slots)
        numbers = matching_start, discriminator_interval, adversarial_weight, difference_weight, noise
        if not matching_start < 1 <= discriminator_interval or min(numbers) < 0:
            raise ValueError(f'needs matching_start < 1 <= discriminator_interval, and numbers >= 0: {numbers}')
        self.teacher = COMPONENTS.build(teacher)
        self.discriminator = COMPONENTS.build(discriminator)
        self.grad_target, self.noise = check_grad_target(grad_target), noise
        self.matching_start, self.discriminator_interval = matching_start, discriminator_interval
        self.adversarial_weight, self.difference_weight = adversarial_weight, difference_weight
        self.position, self.check_labels = RunPosition(), LabelCheck(self.head.num_classes)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the terms for one view (N, 3, H, W) with labels; J_s gets the reversed gradient of the second."""
        assert data_samples is not None, 'labels stand in data_samples'
        (images,), labels = views, data_samples['label']
        self.check_labels(labels)
        images = add_pixel_noise(images, self.noise, data_samples['index'], self.position, self.data_preprocessor)
        if not self.matches:
            idle = 0 * sum(p.sum() for p in self.discriminator.parameters())  # distributed runs need a gradient
            return dict(loss_classification=self.head.loss(self.predict(images), labels), loss_idle=idle)
        images = images.detach().requires_grad_()
        with twice_differentiable(images.device.type):
            logits = self.predict(images)  # (N, C)
            student = input_gradient(logits, labels, images, self.grad_target, create_graph=True)  # (N, 3, H, W)
            teacher = input_gradient(self.teacher(images), labels, images, self.grad_target)  # (N, 3, H, W), constant
            verdicts = self.discriminator(torch.cat([reverse_gradient(student, self.adversarial_weight), teacher]))
            origin = torch.arange(2, device=labels.device).repeat_interleave(len(labels))  # (2 N,), 1 = teacher
            distances = (student - teacher).square().sum(dim=(1, 2, 3))  # (N,)
            return dict(
                loss_classification=self.head.loss(logits, labels),
                loss_discriminator=F.cross_entropy(verdicts, origin),
                loss_difference=self.difference_weight * distances.mean(),
            )

    @property
    def matches(self) -> bool:
        """Whether the current step matches gradients."""
        return self.position.progress >= self.matching_start - 1e-9

    def predict(self, images: Tensor) -> Tensor:
        """Returns the student's logits (N, C) for images (N, 3, H, W)."""
        return self.head.predict(self.neck(self.backbone(images)))

    def on_train_start(self) -> None:
        """Resets the position in the run, which may come from the checkpoint of another run."""
        self.position.reset()

    def on_step_start(self) -> None:
        """Removes the discriminator's gradients, except at every ``discriminator_interval``-th step that matches."""
        if not self.matches or self.position.steps % self.discriminator_interval:
            self.discriminator.zero_grad()

    def on_step_end(self, progress: float) -> None:
        """Counts the step."""
        self.position.advance(progress)

"""BoWNet."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS, COMPONENTS, TARGETS


@ALGORITHMS.register_module()
class BoWNet(BaseAlgorithm):
    """Predicting bags of visual words (Gidaris et al., 2020, arXiv:2002.12247, Fig. 1).

    A frozen network describes an unaugmented image by a bag of visual words. The student, which starts from random
    weights, predicts this bag from an augmented view of the same image. In the next round of the recipe the student is
    the frozen network. The official repository contains no code; the recipes state what the paper leaves open.

    Args:
        target: Config of the target, which computes the bags, such as ``VisualWordsTarget``.
        mix: Config of a component that mixes images and bags, such as ``dict(type='BagMix')``; None mixes nothing.
        **slots: Arguments of ``BaseAlgorithm``; the head is a ``WordPredictHead``.

    Raises:
        ValueError: Target and head differ in the number of words.
    """

    views = Views(2, any_size=True)

    def __init__(self, *, target: dict, mix: dict | None = None, **slots: Any) -> None:
        super().__init__(**slots)
        self.target = TARGETS.build(target)
        words = len(self.target.words), len(self.head.weight)
        if words[0] != words[1]:
            raise ValueError(f'num_words of model.target and model.head must be equal, got {words[0]} and {words[1]}')
        self.mix = None if mix is None else COMPONENTS.build(mix)
        self.batch_coupled = 'batch norm' if any(isinstance(m, _BatchNorm) for m in self.backbone.modules()) else None

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the mean cross entropy ``-sum_k y_k log p_k`` over the images.

        Args:
            views: The augmented view (N, 3, H, W), and the unaugmented image (N, 3, H', W') for the frozen network.
            data_samples: Not used.
        """
        images, clean = views
        bags = self.target(clean)  # y (N, K)
        if self.mix is not None:
            images, bags = self.mix(images, bags)
        return dict(loss=self.head(self.neck(self.backbone(images)), bags))  # Eq. 5

    def on_train_start(self) -> None:
        """Reads the vocabulary of the target again, because loaded weights bring that of another run."""
        if hasattr(self.target, 'load_vocabulary'):
            self.target.load_vocabulary()

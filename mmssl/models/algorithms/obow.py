"""OBoW."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS, COMPONENTS


@ALGORITHMS.register_module()
class OBoW(TeacherAlgorithm):
    """Online bags of visual words (Gidaris et al., 2021, arXiv:2012.11552, Fig. 1).

    The teacher, a moving average of the student, describes the whole image by soft bags of visual words, one bag per
    level; the student predicts the bags from crops. The vocabularies are queues of the teacher's features. The loss is
    averaged over crops of one size and summed over the sizes.

    The official code updates the teacher before it computes the bags; here it is updated after the step, which gives
    the same sequence.

    Args:
        vocabularies: Configs of a ``WordQueue`` for each map that the backbone returns, in the order of the maps.
        **slots: Arguments of ``TeacherAlgorithm``. The official teacher is ``dict(momentum=0.99, schedule='cosine')``.
            The head is a ``GeneratedWordsHead``.

    Raises:
        ValueError: Backbone, vocabularies and head differ in the number of levels or in channels.
    """

    views = Views(2, any_size=True, local=True)  # the whole image and at least one crop
    batch_coupled = 'batch norm'
    taught = ('backbone',)

    def __init__(self, *, vocabularies: list[dict], **slots: Any) -> None:
        super().__init__(**slots)
        self.vocabularies: Any = nn.ModuleList(COMPONENTS.build(vocabulary) for vocabulary in vocabularies)
        channels = [vocabulary['channels'] for vocabulary in vocabularies]
        expected = [generator.fc1.in_features for generator in self.head.generators]
        levels = len(getattr(self.backbone, 'out_indices', None) or channels)
        if channels != expected or len(channels) != levels:
            raise ValueError(
                f'the {levels} levels of backbone.out_indices need one vocabulary and one entry of head.word_channels '
                f'each, with equal channels, got vocabularies of {channels} and word_channels={expected}'
            )

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the divergence between the bags of the whole image and the bags predicted from its crops.

        Args:
            views: The whole image (N, 3, H, W), then crops; crops of one size must be adjacent.
            data_samples: Not used.
        """
        image, *crops = views
        weights = self.head.weights([vocabulary.words for vocabulary in self.vocabularies])  # (K, D) of each level
        maps = self.teacher(image)  # (N, C, H, W) of each level, no gradient
        bags = [vocabulary(level) for vocabulary, level in zip(self.vocabularies, maps)]  # (N, K) of each level
        losses = []
        for _, group in groupby(crops, key=lambda crop: crop.shape[-2:]):
            same_size = list(group)
            features = self.neck(self.backbone(torch.cat(same_size)))
            losses.append(self.head(features, weights, [bag.repeat(len(same_size), 1) for bag in bags]))
        return dict(loss=torch.stack(losses).sum())

    def on_step_end(self, progress: float) -> None:
        """Updates the teacher, and puts the words of the step into the vocabularies."""
        super().on_step_end(progress)
        for vocabulary in self.vocabularies:
            vocabulary.commit()

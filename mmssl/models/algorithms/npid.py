"""NPID."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.memory_bank import MemoryBank
from mmssl.models.components.run_position import RunPosition
from mmssl.models.losses.memory_contrast_loss import memory_similarities
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class NPID(BaseAlgorithm):
    """Non-parametric instance discrimination (Wu et al., 2018, arXiv:1805.01978, section 3).

    Every image is a class of its own. A memory bank holds the average of each image's embeddings, and an embedding is
    classified as its own row among rows of other images. The loss is InfoNCE, as in OpenSelfSup and mmselfsup; the
    paper uses noise-contrastive estimation with a constant partition.

    Args:
        bank: Arguments of ``MemoryBank``: ``length``, the number of images of the training set, ``dim`` and
            ``momentum``.
        num_negatives: Number K of negatives per image, drawn uniformly at each step.
        **slots: Arguments of ``BaseAlgorithm``; the head is a ``MemoryContrastLoss``.

    Raises:
        ValueError: The head needs a partition constant, which this algorithm does not have, or ``num_negatives`` is
            less than 1.
    """

    views = Views(1)
    needs_vectors = True
    batch_coupled = 'batch norm'

    def __init__(self, *, bank: dict, num_negatives: int = 65536, **slots: Any) -> None:
        super().__init__(**slots)
        if self.head.kind != 'info_nce':
            raise ValueError(f"NPID needs model.head.kind='info_nce', got {self.head.kind!r}")
        if num_negatives < 1:
            raise ValueError(f'num_negatives must be at least 1, got {num_negatives}')
        self.bank, self.position = MemoryBank(**bank), RunPosition()
        self.num_negatives = num_negatives

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss of one view (N, 3, H, W)."""
        assert data_samples is not None, 'the index of an image stands in data_samples'
        index = data_samples['index']
        embeddings = self.neck(self.backbone(views[0]))  # (N, D)
        negatives = self.bank.draw(index, self.num_negatives, self.position.count)  # (N, K)
        similarities = memory_similarities(embeddings, self.bank.features, index, negatives)  # (N, 1 + K)
        self.bank.stage(embeddings, index)
        return dict(loss=self.head(similarities, len(self.bank.features), similarities.new_ones(())))

    def on_train_start(self) -> None:
        """Resets the position in the run, which may come from the checkpoint of another run."""
        self.position.reset()

    def on_step_end(self, progress: float) -> None:
        """Moves the rows of the step's images, and counts the step, which draws other negatives for the next one."""
        self.bank.commit()
        self.position.advance(progress)

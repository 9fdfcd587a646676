"""DenseCL."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.batch_shuffle import BatchShuffle
from mmssl.models.components.feature_queue import FeatureQueue
from mmssl.models.layers.correspondence import match_positions
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class DenseCL(TeacherAlgorithm):
    """Dense Contrastive Learning (Wang et al., 2021, arXiv:2011.09157, Eqs. 1 to 4).

    MoCo v2 with a second loss, in which each position of the query's map must find its position in the key's map among
    a second queue. The two positions with the most similar features *of the backbone* belong together. The second queue
    holds the key's dense embedding averaged over positions, before it is scaled to unit length. Differences from the
    official code, none of which changes a number: those of ``MoCo``.

    Args:
        queue: Arguments of both ``FeatureQueue``: ``length`` and ``dim``.
        dense_weight: Weight lambda of the dense loss, in [0, 1]; the loss of the whole image has 1 - lambda. With 0 the
            method is MoCo v2.
        norm_group_size: Number of keys that share norm statistics, see ``BatchShuffle``; None means all keys of a
            process.
        **slots: Arguments of ``TeacherAlgorithm``; the neck is a ``DenseProjector``. The paper's teacher is
            ``dict(momentum=0.999, schedule='constant')``.

    Raises:
        ValueError: ``dense_weight`` lies outside [0, 1].
    """

    views = Views(2, any_size=True)
    batch_coupled = 'batch norm'

    def __init__(
        self, *, queue: dict, dense_weight: float = 0.5, norm_group_size: int | None = None, **slots: Any
    ) -> None:
        super().__init__(**slots)
        if not 0 <= dense_weight <= 1:
            raise ValueError(f'dense_weight must lie in [0, 1], got {dense_weight}')
        self.dense_weight = dense_weight
        self.queue = FeatureQueue(**queue)
        self.dense_queue = FeatureQueue(**queue)
        self.shuffle = BatchShuffle(norm_group_size)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns both terms of Eq. 4 for two views (N, 3, H, W): queries from the first, keys from the second."""
        query_view, key_view = views
        query = self.neck(self.backbone(query_view))
        key = self.shuffle(self.teacher, key_view)  # no gradient
        matches = match_positions(query.features, key.features)  # (N, L)
        positives = key.dense.flatten(2).take_along_dim(matches[:, None], dim=2)  # (N, D, L)
        whole = self.head(query.vector, key.vector, self.queue.features)
        dense = self.head(_rows(query.dense.flatten(2)), _rows(positives), self.dense_queue.features)
        self.queue.stage(key.vector)
        self.dense_queue.stage(key.dense.mean(dim=(2, 3)))
        return dict(loss_global=(1 - self.dense_weight) * whole, loss_dense=self.dense_weight * dense)

    def match_views(self, views: list[Tensor]) -> Tensor:
        """Returns, for figures, the matches (N, L) of the positions of the first view in the second, by the student."""
        return match_positions(*(self.backbone(view)[-1] for view in views))

    def on_step_end(self, progress: float) -> None:
        """Updates the teacher, and puts the keys of the step into the queues."""
        super().on_step_end(progress)
        self.queue.commit()
        self.dense_queue.commit()


def _rows(embeddings: Tensor) -> Tensor:
    """Returns embeddings (N, D, L) as rows (N * L, D), image by image."""
    return embeddings.transpose(1, 2).flatten(0, 1)

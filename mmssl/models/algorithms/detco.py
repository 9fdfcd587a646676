"""DetCo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.batch_shuffle import BatchShuffle
from mmssl.models.components.feature_queue import FeatureQueue
from mmssl.models.layers.tiles import split_mosaic
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class DetCo(TeacherAlgorithm):
    """DetCo (Xie et al., 2021, arXiv:2102.04803, Eqs. 1 to 4).

    MoCo v2 on every stage of the backbone and with two kinds of views: whole images, and nine shuffled patches. Stage i
    has, with embeddings g and l of the whole query and of its patches, g' and l' of the keys, and a queue of each::

        loss_i = w_i (InfoNCE(g, g', queue_g) + InfoNCE(l, l', queue_l) + InfoNCE(l, g', queue_g))

    The authors' code was never released. Numbers are those of an unofficial code, and these are this project's
    decisions: each image has an order of patches and a place in each cell of its own (there, one for the batch); whole
    images and patches are shuffled between processes one after the other.

    Args:
        queue: Arguments of all ``FeatureQueue``, two for each stage: ``length`` and ``dim``.
        stage_weights: Weights w_i, one for each map that the backbone returns.
        grid: Patches per side.
        norm_group_size: Number of keys that share norm statistics, see ``BatchShuffle``; None means all keys of a
            process. The patches of these keys share theirs.
        **slots: Arguments of ``TeacherAlgorithm``; the neck is a ``GlobalLocalProjector``. The paper's teacher is
            ``dict(momentum=0.999, schedule='constant')``.

    Raises:
        ValueError: The neck has another number of stages or patches, or the queues have another width.
    """

    views = Views(4, any_size=True, kind=('image', 'image', 'shuffled tiles', 'shuffled tiles'), grid=3)
    batch_coupled = 'batch norm'

    def __init__(
        self,
        *,
        queue: dict,
        stage_weights: Sequence[float] = (0.1, 0.4, 0.7, 1.0),
        grid: int = 3,
        norm_group_size: int | None = None,
        **slots: Any,
    ) -> None:
        super().__init__(**slots)
        self.stage_weights, self.grid = tuple(stage_weights), grid
        self.views = replace(self.views, grid=grid)
        stages, patches = len(self.neck.whole.stages), self.neck.patches.num_patches
        if (stages, patches) != (len(self.stage_weights), grid**2):
            raise ValueError(
                f'model.neck has {stages} stages and {patches} patches, but model.stage_weights has '
                f'{len(self.stage_weights)} weights and model.grid={grid} gives {grid**2} patches'
            )
        if queue['dim'] != self.neck.out_channels:
            raise ValueError(f'set model.queue.dim={self.neck.out_channels}, as model.neck has, got {queue["dim"]}')
        self.global_queues: Any = nn.ModuleList(FeatureQueue(**queue) for _ in self.stage_weights)
        self.local_queues: Any = nn.ModuleList(FeatureQueue(**queue) for _ in self.stage_weights)
        self.shuffle = BatchShuffle(norm_group_size)

    def encoders(self, owner: Any) -> tuple[nn.Module, nn.Module]:
        """Returns the encoders of whole images and of mosaics of ``owner``, the student ``self`` or the teacher."""
        whole = nn.Sequential(owner.backbone, owner.neck.whole)
        return whole, nn.Sequential(_SplitMosaic(self.grid), owner.backbone, owner.neck.patches)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns three terms for each stage.

        Args:
            views: Whole query and key (N, 3, H, W), then the mosaics of the patches of query and key.
            data_samples: Not used.
        """
        query_view, key_view, query_patches, key_patches = views
        whole, local = (encode(x) for encode, x in zip(self.encoders(self), (query_view, query_patches)))
        key, local_key = (
            self.shuffle(encode, x) for encode, x in zip(self.encoders(self.teacher), (key_view, key_patches))
        )  # (N, stages, D) each; no gradient to the keys
        losses = {}
        for stage, weight in enumerate(self.stage_weights):
            queue, local_queue = self.global_queues[stage], self.local_queues[stage]
            g, l, g_key, l_key = (x[:, stage] for x in (whole, local, key, local_key))  # noqa: E741  # the paper's names
            losses[f'loss_global_{stage}'] = weight * self.head(g, g_key, queue.features)
            losses[f'loss_local_{stage}'] = weight * self.head(l, l_key, local_queue.features)
            losses[f'loss_cross_{stage}'] = weight * self.head(l, g_key, queue.features)
            queue.stage(g_key)
            local_queue.stage(l_key)
        return losses

    def on_step_end(self, progress: float) -> None:
        """Updates the teacher, and puts the keys of the step into the queues."""
        super().on_step_end(progress)
        for queue in (*self.global_queues, *self.local_queues):
            queue.commit()


class _SplitMosaic(nn.Module):
    def __init__(self, grid: int) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, mosaics: Tensor) -> Tensor:
        """Returns the patches (N * G * G, 3, S, S), image by image."""
        return split_mosaic(mosaics, self.grid).flatten(0, 1)

"""ReSim."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from mmssl.distributed.collectives import gather_constant
from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.batch_shuffle import BatchShuffle
from mmssl.models.components.feature_queue import FeatureQueue
from mmssl.models.layers.precise_roi_pool import precise_roi_pool
from mmssl.models.layers.sliding_windows import SlidingWindows
from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import ALGORITHMS, LOSSES
from mmssl.utils.errors import UserError


@ALGORITHMS.register_module()
class ReSim(TeacherAlgorithm):
    """Region Similarity Representation Learning (Xiao et al., 2021, arXiv:2103.12902), the variant with a pyramid.

    MoCo v2 with a loss for each level of a pyramid. Windows slide over the first view. The feature of a window,
    averaged over it by ``precise_roi_pool``, must match the feature of the same region of the image in the second
    view, among a bank of all positions of the second views: their maps, averaged over 3 x 3 positions. The bank
    contains the positive region's own neighbourhood too, as in the official code. Windows that do not lie in both
    views do not count.

    Deliberate differences from the official code: those of ``MoCo``; and, with several processes, the mean over the
    visible windows of all processes (``region_loss.per_process=True`` takes the mean of each).

    Args:
        queue: Arguments of ``FeatureQueue``: ``length`` and ``dim``.
        windows: Arguments of ``SlidingWindows`` for each level of the pyramid, fine to coarse.
        region_loss: Config of the loss of a level, a ``RegionContrastLoss``.
        norm_group_size: Number of keys that share norm statistics, see ``BatchShuffle``; None means all keys of a
            process.
        **slots: Arguments of ``TeacherAlgorithm``; the neck is a ``PyramidProjector``. The official teacher is
            ``dict(momentum=0.999, schedule='constant')``.
    """

    views = Views(2, kind='aligned')
    batch_coupled = 'batch norm'

    def __init__(
        self,
        *,
        queue: dict,
        windows: list[dict],
        region_loss: dict,
        norm_group_size: int | None = None,
        **slots: Any,
    ) -> None:
        super().__init__(**slots)
        self.queue = FeatureQueue(**queue)
        self.windows = [SlidingWindows(**grid) for grid in windows]
        self.region_loss = LOSSES.build(region_loss)
        self.shuffle = BatchShuffle(norm_group_size)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the losses of the whole image and of each level, for two views (N, 3, S, S).

        Args:
            views: Queries come from the first view, keys from the second.
            data_samples: ``crops`` (N, 2, 5), the places of both views in the image.

        Raises:
            UserError: The crops are missing, the pyramid has another number of levels than ``windows``, or its maps
                are too small.
        """
        if data_samples is None or 'crops' not in data_samples:
            raise UserError("ReSim compares regions, so it needs the places of the views: use type='AlignedView'")
        query_view, key_view = views
        query, *query_maps = self.neck(self.backbone(query_view))
        if len(query_maps) != len(self.windows):
            raise UserError(
                f'model.neck.pyramid has {len(query_maps)} levels, and model.windows has {len(self.windows)}: give one '
                'for each level'
            )
        key, *key_maps = self.shuffle(self.teacher, key_view)  # no gradient
        self.queue.stage(key)
        losses = dict(loss_global=self.head(query, key, self.queue.features))
        size, crops = query_view.shape[-1], data_samples['crops']
        for number, (grid, query_map, key_map) in enumerate(zip(self.windows, query_maps, key_maps)):
            boxes = grid.boxes(size, query_view.device).expand(len(crops), -1, -1)
            key_boxes, visible = grid.map(size, crops)
            regions = (pool_regions(maps, box / size) for maps, box in ((query_map, boxes), (key_map, key_boxes)))
            bank = neighbourhoods(key_map)  # (B, C)
            bank = gather_constant(bank) if grid.bank == 'global' else bank
            losses[f'loss_level{number}'] = self.region_loss(*regions, bank, visible)
        return losses

    def on_step_end(self, progress: float) -> None:
        """Updates the teacher, and puts the keys of the step into the queue."""
        super().on_step_end(progress)
        self.queue.commit()


@in_full_precision
def neighbourhoods(maps: Tensor) -> Tensor:
    """Averages maps (N, C, H, W) over 3 x 3 positions, and returns unit rows (N * (H - 2) * (W - 2), C).

    Raises:
        UserError: The maps have fewer than 3 x 3 positions.
    """
    if min(maps.shape[-2:]) < 3:
        raise UserError(
            f'a level of model.neck.pyramid has {maps.shape[-2]} x {maps.shape[-1]} positions, and ReSim needs 3 x 3: '
            'take larger views'
        )
    return normalize(avg_pool2d(maps, 3, stride=1), dim=1).flatten(2).transpose(1, 2).flatten(0, 1)


def pool_regions(maps: Tensor, boxes: Tensor) -> Tensor:
    """Averages maps (N, C, H, W) over boxes (N, W, 4), x0, y0, x1, y1 in shares of a side: (N, W, C)."""
    rows, columns = maps.shape[-2:]
    cells = boxes * boxes.new_tensor([columns, rows, columns, rows])
    return precise_roi_pool(maps, cells).flatten(2)

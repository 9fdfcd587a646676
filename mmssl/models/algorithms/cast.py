"""CAST."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import cosine_similarity, interpolate
from torch.nn.modules.batchnorm import _BatchNorm

from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.batch_shuffle import BatchShuffle
from mmssl.models.components.feature_queue import FeatureQueue
from mmssl.models.layers.grad_cam import grad_cam, scale_to_unit
from mmssl.models.layers.twice_differentiable import twice_differentiable
from mmssl.models.losses.attention_loss import AttentionLoss
from mmssl.models.losses.numerics import widen
from mmssl.registry import ALGORITHMS
from mmssl.utils.errors import UserError


@ALGORITHMS.register_module()
class CAST(TeacherAlgorithm):
    """Contrastive Attention-Supervised Tuning (Selvaraju et al., 2021, arXiv:2012.04630, Eqs. 1 to 5).

    MoCo on crops that show what is salient, with a second loss: the attention map of the query must agree with the mask
    of what is salient in it. The map is Grad-CAM of the similarity to a key of which all but the salient part is
    removed; each map is scaled to [0, 1], twice as in the official code.

    The neck and the gradient through it are computed in full precision, also inside ``torch.autocast``: the loss
    differentiates this gradient once more, and the scaling to [0, 1] enlarges its rounding errors.

    Deliberate differences from the official code: those of ``MoCo``; the query is encoded once (there twice, which
    moves running statistics twice); the teacher moves once per step (there before each of the two encodings of keys);
    the cosine is that of the batch of all processes.

    Args:
        queue: Arguments of ``FeatureQueue``: ``length`` and ``dim``.
        attention_weight: Weight of the loss of attention, in [0, 1]; the contrastive loss has 1 - this. The official 3
            to 1 is 0.75.
        norm_group_size: Number of keys that share norm statistics, see ``BatchShuffle``; None means all keys of a
            process.
        **slots: Arguments of ``TeacherAlgorithm``; the head is a ``QueueContrastLoss``. The official teacher is
            ``dict(momentum=0.999, schedule='constant')``.

    Raises:
        ValueError: ``attention_weight`` lies outside [0, 1].
    """

    views = Views(2, kind='salient')
    batch_coupled = 'batch norm'
    unsplit = 'its attention is a gradient through the neck'

    def __init__(
        self, *, queue: dict, attention_weight: float = 0.75, norm_group_size: int | None = None, **slots: Any
    ) -> None:
        super().__init__(**slots)
        if not 0 <= attention_weight <= 1:
            raise ValueError(f'attention_weight must lie in [0, 1], got {attention_weight}')
        self.attention_weight = attention_weight
        self.queue = FeatureQueue(**queue)
        self.shuffle = BatchShuffle(norm_group_size)
        self.attention_loss = AttentionLoss()
        # Only the neck is differentiated twice, and of its layers torch's synchronised batch norm does not allow it.
        self.second_order = any(isinstance(layer, _BatchNorm) for layer in self.neck.modules())

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns both terms for two views (N, 3, S, S): queries from the first, keys from the second.

        Args:
            views: The two views, normalised.
            data_samples: ``masks`` (N, 2, S, S), 1 where a view shows something salient, else 0.

        Raises:
            UserError: The masks are missing.
        """
        if data_samples is None or 'masks' not in data_samples:
            raise UserError("CAST needs masks of what is salient: use a dataset of type='SalientImages'")
        query_view, key_view = views
        query_mask, key_mask = data_samples['masks'].to(query_view.dtype).split(1, dim=1)  # (N, 1, S, S)
        maps = widen(self.backbone(query_view)[-1])  # (N, C, h, w)
        key = self.shuffle(self.teacher, key_view)  # no gradient
        salient_key = self.shuffle(self.teacher, key_view * key_mask)  # what is removed has the mean colour
        with twice_differentiable(maps.device.type):
            query = self.neck(maps)
            attention = grad_cam(cosine_similarity(query, widen(salient_key)) / self.head.temperature, maps)
        contrast = self.head(query, key, self.queue.features)
        targets = interpolate(query_mask, maps.shape[-2:], mode='bilinear', align_corners=True)
        agreement = self.attention_loss(scale_to_unit(scale_to_unit(attention)), targets.squeeze(1))
        self.queue.stage(key)
        return dict(
            loss_contrast=(1 - self.attention_weight) * contrast, loss_attention=self.attention_weight * agreement
        )

    def attention(self, views: list[Tensor]) -> Tensor:
        """Returns, for figures, where the first view (N, 3, S, S) is looked at to match the second: (N, h, w)."""
        query_view, key_view = views
        maps = self.backbone(query_view)[-1].detach().requires_grad_()
        key = self.neck(self.backbone(key_view)[-1]).detach()
        return scale_to_unit(grad_cam(cosine_similarity(self.neck(maps), key), maps)).detach()

    def on_step_end(self, progress: float) -> None:
        """Updates the teacher, and puts the keys of the step into the queue."""
        super().on_step_end(progress)
        self.queue.commit()

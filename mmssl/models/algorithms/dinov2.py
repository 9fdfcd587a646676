"""DINOv2."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.centered_softmax import CenteredSoftmax
from mmssl.models.components.encode_views import encode_views
from mmssl.models.components.sinkhorn_targets import SinkhornTargets
from mmssl.models.layers.hidden_patches import HiddenPatches, hidden_patches
from mmssl.registry import ALGORITHMS, HEADS, MASKERS
from mmssl.utils.arguments import check_choices

GLOBAL_VIEWS = 2


@ALGORITHMS.register_module()
class DINOv2(TeacherAlgorithm):
    """Learning robust visual features without supervision (Oquab et al., 2024, arXiv:2304.07193, section 4).

    The student sees the two global views with some patches replaced by a learned token, and small local views; the
    teacher sees the whole global views. The student predicts the teacher's distribution over prototypes for the image,
    from every other view (``loss_cls``), and for each hidden patch (``loss_patch``); ``loss_koleo`` spreads the class
    tokens of each global view. Deviations from the official code:

    - the center of patches is the mean over the hidden patches of all processes, officially the mean of their means;
    - without local views ``loss_cls`` is the mean over 2 pairs, officially their sum divided by 3;
    - temperatures and momentum follow the position in the run, see ``DINO``;
    - the teacher sees no mask, so it has no mask token; the official code averages one that is never used.

    Args:
        teacher: Arguments of ``EMATeacher``; without ``drop_path=True`` the teacher drops no paths.
        targets: Arguments of ``CenteredSoftmax`` (``kind='center'``) or of ``SinkhornTargets`` (``kind='sinkhorn'``).
        patch_targets: Arguments of the same for patches.
        masker: Config of the masker of global views.
        patch_head: Config of the loss of hidden patches.
        koleo: Config of the loss that spreads the class tokens, summed over both global views.
        **slots: Arguments of ``TeacherAlgorithm``: a backbone that returns tokens, an ``ImagePatchProjector`` as neck.
    """

    views = Views(GLOBAL_VIEWS, local=True)
    needs_tokens = True
    batch_coupled = 'KoLeo'

    def __init__(
        self,
        *,
        teacher: dict,
        targets: dict,
        patch_targets: dict,
        masker: dict,
        patch_head: dict,
        koleo: dict,
        **slots: Any,
    ) -> None:
        super().__init__(teacher=dict(drop_path=False) | teacher, **slots)
        self.targets = _build_targets(self.neck.out_channels, **targets)
        self.patch_targets = _build_targets(self.neck.patch_channels, **patch_targets)
        self.masker = MASKERS.build(masker)
        self.patch_head = HEADS.build(patch_head)
        self.koleo = HEADS.build(koleo)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, self.backbone.embed_dim))

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns ``loss_cls``, the mean over 2 (V - 1) pairs of V views, ``loss_patch`` and ``loss_koleo``."""
        images = torch.cat(views[:GLOBAL_VIEWS])  # (2 * N, 3, H, W)
        hidden = hidden_patches(self.masker.masks(images), GLOBAL_VIEWS, images.device)  # P patches
        targets, patch_targets = self.teach(images, hidden)  # (2, N, C), (P, C)
        tokens = self.backbone(images, mask=hidden.mask, mask_token=self.mask_token)  # (2 * N, 1 + R + L, D)
        features = [tokens[:, 0]]
        if len(views) > GLOBAL_VIEWS:
            features.append(encode_views(lambda x: self.backbone(x)[:, 0], views[GLOBAL_VIEWS:]))
        logits = self.neck(torch.cat(features)).unflatten(0, (len(views), -1))  # (V, N, C)
        patch_logits = self.neck.patch_logits(self.neck.embed_patches(self.hidden_tokens(tokens, hidden)))  # (P, C)
        return dict(
            loss_cls=self.head(logits, targets),
            loss_patch=self.patch_head(patch_logits, patch_targets, hidden.weights),
            loss_koleo=sum(self.koleo(view) for view in tokens[:, 0].chunk(GLOBAL_VIEWS)),
        )

    @torch.no_grad()
    def teach(self, images: Tensor, hidden: HiddenPatches) -> tuple[Tensor, Tensor]:
        """Returns targets (2, N, C) of global views (2 * N, 3, H, W) and (P, C) of P hidden patches."""
        teacher: Any = self.teacher
        tokens = teacher.backbone(images)
        logits = teacher.neck(tokens[:, 0])  # (2 * N, C)
        patch_logits = teacher.neck.patch_logits(teacher.neck.embed_patches(self.hidden_tokens(tokens, hidden)))
        self.targets.stage(logits)
        self.patch_targets.stage(patch_logits)
        return self.targets(logits).unflatten(0, (GLOBAL_VIEWS, -1)), self.patch_targets(patch_logits)

    def hidden_tokens(self, tokens: Tensor, hidden: HiddenPatches) -> Tensor:
        """Returns the tokens (P, D) of hidden patches among all tokens (2 * N, 1 + R + L, D)."""
        return hidden.of(tokens[:, self.backbone.num_prefix_tokens :])

    def on_step_end(self, progress: float) -> None:
        """Updates the teacher, and the centers and temperatures of the targets."""
        super().on_step_end(progress)
        self.targets.update(progress)
        self.patch_targets.update(progress)


def _build_targets(dim: int, kind: str = 'center', **options: Any) -> CenteredSoftmax | SinkhornTargets:
    check_choices(kind=(kind, ('center', 'sinkhorn')))
    return CenteredSoftmax(dim, **options) if kind == 'center' else SinkhornTargets(**options)

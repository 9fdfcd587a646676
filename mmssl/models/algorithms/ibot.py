"""iBOT."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.centered_softmax import CenteredSoftmax
from mmssl.models.components.encode_views import encode_views
from mmssl.models.layers.hidden_patches import HiddenPatches, hidden_patches
from mmssl.registry import ALGORITHMS, HEADS, MASKERS

GLOBAL_VIEWS = 2


@ALGORITHMS.register_module()
class IBOT(TeacherAlgorithm):
    """Image BERT pre-training with an online tokenizer (Zhou et al., 2022, arXiv:2111.07832, Algorithm 1).

    The student sees the two global views with some patches replaced by a learned token, and small local views; the
    teacher sees the whole global views. The student predicts the teacher's distribution over prototypes for the image,
    from every other view (Eq. 3, ``loss_cls``), and for each hidden patch of the same view (Eq. 2, ``loss_patch``).

    Only hidden patches pass through the last layer. The center of the patches is the mean over all patches of the
    teacher's views; it is computed from the mean input of that layer, which is linear. Deviations from the official
    code: temperatures and momentum follow the position in the run step by step, as in ``DINO``; if images and patches
    have prototypes of their own, they have them in student and teacher alike.

    Args:
        teacher: Arguments of ``EMATeacher``; without ``drop_path=True`` the teacher drops no paths.
        targets: Arguments of ``CenteredSoftmax`` without ``dim``, for images.
        patch_targets: Arguments of ``CenteredSoftmax`` without ``dim``, for patches.
        masker: Config of the masker of the global views, such as ``RatioMasker``, with the ``patch_size`` of the
            backbone.
        patch_head: Config of the loss of hidden patches.
        **slots: Arguments of ``BaseAlgorithm``; the backbone returns tokens, and ``neck`` is a ``DINOProjector``, or an
            ``IBOTProjector`` for prototypes of patches alone.
    """

    views = Views(GLOBAL_VIEWS, local=True)
    needs_tokens = True

    def __init__(
        self, *, teacher: dict, targets: dict, patch_targets: dict, masker: dict, patch_head: dict, **slots: Any
    ) -> None:
        super().__init__(teacher=dict(drop_path=False) | teacher, **slots)
        self.targets = CenteredSoftmax(**targets, dim=self.neck.out_channels)
        self.patch_targets = CenteredSoftmax(**patch_targets, dim=self.neck.patch_channels)
        self.masker = MASKERS.build(masker)
        self.patch_head = HEADS.build(patch_head)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, self.backbone.embed_dim))

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns ``loss_cls``, the mean over 2 (V - 1) pairs of V views (N, 3, H, W), and ``loss_patch``."""
        images = torch.cat(views[:GLOBAL_VIEWS])  # (2 * N, 3, H, W)
        hidden = hidden_patches(self.masker.masks(images), GLOBAL_VIEWS, images.device)  # P patches
        targets, patch_targets = self.teach(images, hidden)  # (2, N, C), (P, C)
        tokens = self.backbone(images, mask=hidden.mask, mask_token=self.mask_token)  # (2 * N, 1 + L, D)
        features = [tokens[:, 0]]
        if len(views) > GLOBAL_VIEWS:
            features.append(encode_views(lambda x: self.backbone(x)[:, 0], views[GLOBAL_VIEWS:]))
        logits = self.neck(torch.cat(features)).unflatten(0, (len(views), -1))  # (V, N, C)
        embedded = self.neck.embed_patches(hidden.of(self.patches(tokens)))  # (P, B), B is the width of the bottleneck
        return dict(
            loss_cls=self.head(logits, targets),
            loss_patch=self.patch_head(self.neck.patch_logits(embedded), patch_targets, hidden.weights),
        )

    @torch.no_grad()
    def teach(self, images: Tensor, hidden: HiddenPatches) -> tuple[Tensor, Tensor]:
        """Returns targets (2, N, C) of global views (2 * N, 3, H, W) and (P, C) of P hidden patches."""
        teacher: Any = self.teacher
        neck, tokens = teacher.neck, teacher.backbone(images)  # (2 * N, 1 + L, D)
        logits = neck(tokens[:, 0])
        patches = neck.embed_patches(self.patches(tokens))  # (2 * N, L, B)
        self.targets.stage(logits)
        self.patch_targets.stage(neck.patch_logits(patches.mean(dim=(0, 1)).unsqueeze(0)))
        targets = self.targets(logits).unflatten(0, (GLOBAL_VIEWS, -1))
        return targets, self.patch_targets(neck.patch_logits(hidden.of(patches)))

    def patches(self, tokens: Tensor) -> Tensor:
        """Returns the tokens (N, L, D) of patches among all tokens of an image."""
        return tokens[:, self.backbone.num_prefix_tokens :]

    def on_step_end(self, progress: float) -> None:
        """Updates the teacher, and the centers and temperatures of the targets."""
        super().on_step_end(progress)
        self.targets.update(progress)
        self.patch_targets.update(progress)

"""CAPI."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.layers.patches import select_patches
from mmssl.registry import ALGORITHMS, MASKERS


@ALGORITHMS.register_module()
class CAPI(TeacherAlgorithm):
    """Cluster and Predict Latents Patches for Improved Masked Image Modeling (Darcet et al., 2025, arXiv:2502.08769).

    A teacher sees the whole image, and ``head`` assigns each of its patches to clusters. The student sees one block of
    the image, and ``neck`` predicts the assignments of a few hidden patches. The clusters learn from the teacher's
    patches in the same step. No gradient reaches the teacher, and that of the prediction does not reach the clusters.

    Deviations from the official code:

    - one optimizer holds student and clusters; their rates and weight decays differ as in the two official ones;
    - the frequencies of rotary positions are frozen, where the official code trains them with rate 0; they and the
      places of patches stay in full precision where the rest is in bfloat16;
    - after step k of K the momentum is that of progress k / K, where the official code takes (k - 1) / K, and its
      warm-up ends one step earlier;
    - at least one patch is predicted; the official code can round to none on small grids.

    Args:
        masker: Config of an ``InverseBlockMasker``, with the ``patch_size`` of the backbone.
        teacher: Arguments of ``EMATeacher``; without ``drop_path=True`` the teacher drops no paths.
        **slots: Arguments of ``BaseAlgorithm``: a ``CAPIViT`` that returns tokens, a ``CAPIPredictor`` as neck, and an
            ``OnlineClusterHead`` with as many clusters as the neck predicts.

    Raises:
        ValueError: Neck and head have different numbers of clusters, or another width of tokens than the backbone.
    """

    views = Views(1)
    needs_tokens = True
    feature = 'mean'
    batch_coupled = 'Sinkhorn over the images'

    def __init__(self, *, masker: dict, teacher: dict, **slots: Any) -> None:
        super().__init__(teacher=dict(drop_path=False) | teacher, **slots)
        self.masker = MASKERS.build(masker)
        if self.neck.out_channels != self.head.clusters.out_features:
            raise ValueError(
                f'model.neck.out_channels={self.neck.out_channels} and model.head.num_clusters='
                f'{self.head.clusters.out_features} must be the same number'
            )
        for name, width in (('neck', self.neck.in_channels), ('head', self.head.clusters.in_features)):
            if width != self.backbone.embed_dim:
                raise ValueError(
                    f'model.{name}.in_channels={width} must be the width of the tokens of the backbone, '
                    f'{self.backbone.embed_dim}'
                )

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns ``loss`` of the prediction, ``loss_clusters``, and ``target_entropy`` in nats, for one view."""
        (images,) = views  # (N, 3, H, W)
        visible, predicted = self.masker(images)  # (N, K), (N, P)
        with torch.no_grad():
            tokens = self.teacher.get_submodule('backbone')(images)  # (N, R + L, D)
        assignments, loss_clusters = self.head.assign(tokens[:, self.backbone.num_prefix_tokens :])  # (N, L, C)
        targets = select_patches(assignments, predicted)  # (N, P, C)
        latent = self.backbone(images, keep=visible)  # (N, R + K, D)
        places = self.backbone.places(images, visible), self.backbone.patch_places(images, predicted)
        return dict(
            loss=self.head(self.neck(latent, *places), targets),
            loss_clusters=loss_clusters,
            target_entropy=self.head.entropy(targets),
        )

    def global_features(self, images: Tensor) -> Tensor:
        """Returns the official features (N, E) of whole images (N, 3, H, W).

        They are the mean, over the places of all patches, of the output of the predictor's first block. Benchmarks take
        ``extract_feat``, the mean of the backbone's patches, because a backbone file has no predictor.
        """
        latent = self.backbone(images)
        places = self.backbone.places(images), self.backbone.patch_places(images)
        return self.neck.decode(latent, *places, num_blocks=1).mean(dim=1)

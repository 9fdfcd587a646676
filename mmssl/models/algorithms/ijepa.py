"""I-JEPA."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import layer_norm

from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.run_position import RunPosition
from mmssl.models.layers.patches import select_patches
from mmssl.registry import ALGORITHMS, MASKERS


@ALGORITHMS.register_module()
class IJEPA(TeacherAlgorithm):
    """Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture (Assran et al., 2023,
    arXiv:2301.08243, Fig. 3).

    The backbone sees the patches of a context block. ``neck`` predicts from them what the teacher, which sees the whole
    image, makes of the patches of target blocks: its features, standardised by a layer norm without parameters. Nothing
    but the crop is augmented. Deviations from the official code:

    - after step k of K, counted from 1, the momentum is that of progress k / K; the official code takes (k - 1) / K;
    - accumulated batches have blocks of the same size, because the size depends on the number of optimizer steps.

    Args:
        masker: Config of a ``MultiBlockMasker``, with the ``patch_size`` of the backbone.
        teacher: Arguments of ``EMATeacher``.
        **slots: Arguments of ``TeacherAlgorithm``.

    Raises:
        ValueError: The neck has another width of tokens than the backbone, or the backbone has a class token.
    """

    views = Views(1)
    needs_tokens = True
    taught = ('backbone',)

    def __init__(self, *, masker: dict, teacher: dict, **slots: Any) -> None:
        super().__init__(teacher=teacher, **slots)
        if getattr(self.backbone, 'num_prefix_tokens', 0):
            raise ValueError(
                f'the backbone puts {self.backbone.num_prefix_tokens} tokens before the patches, and I-JEPA predicts '
                "from patches alone: set model.backbone.type='PatchViT'"
            )
        if self.neck.in_channels != self.backbone.embed_dim:
            raise ValueError(
                f'model.neck.in_channels={self.neck.in_channels} must be the width of the tokens of the backbone, '
                f'{self.backbone.embed_dim}'
            )
        self.masker = MASKERS.build(masker)
        self.position = RunPosition()

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the mean error over the patches of all target blocks for one view (N, 3, H, W)."""
        (images,) = views
        context, targets = self.masker(images, self.position.steps)  # (N, K), (N, T, n)
        latent = self.backbone(images, keep=context)  # (N, K, D)
        prediction = self.neck(latent, context, targets)  # (N, T, n, D)
        features = self.teacher(images)  # (N, L, D), no gradient
        features = layer_norm(features, features.shape[-1:])
        wanted = select_patches(features, targets.flatten(1)).unflatten(1, targets.shape[1:])
        return dict(loss=self.head(prediction, wanted))

    def on_train_start(self) -> None:
        """Copies the student into the teacher and resets the position in the run."""
        super().on_train_start()
        self.position.reset()

    def on_step_end(self, progress: float) -> None:
        """Updates the teacher and counts the step."""
        super().on_step_end(progress)
        self.position.advance(progress)

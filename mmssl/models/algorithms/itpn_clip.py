"""iTPN with a CLIP model as teacher."""

from __future__ import annotations

from torch import Tensor

from mmssl.models.algorithms.masked import MaskedAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class ITPNCLIP(MaskedAlgorithm):
    """Integrally Pre-Trained Transformer Pyramid Networks (Tian et al., 2023, arXiv:2211.12735v1), CLIP features as
    target.

    The encoder sees all units; a learned token replaces the hidden ones at the input of stage 3. ``neck`` is the
    pyramid with two predictions, ``head`` the loss of one prediction, by default over all units.

    Args:
        masker: Config of the masker.
        target: Config of the target, such as ``CLIPTarget``.
        **slots: Arguments of ``BaseAlgorithm``. The backbone must have an ``early_block``.
    """

    views = Views(1, rendering=True)
    mask_token_cut = 2.0

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the errors of both predictions.

        Args:
            views: Images (N, 3, H, W), and optionally another rendering of the images for the teacher.
            data_samples: Not used.
        """
        images, rendering = views[0], views[-1]
        target = self.target(rendering)  # (N, L, P), no gradient
        mask = self.masker(images)  # (N, L) bool, True = hidden
        fine, middle, early, coarse = self.backbone(images, mask=mask, mask_token=self.mask_token)
        prediction, early_prediction = self.neck((fine, middle, coarse), early)  # (N, L, P) each
        return dict(
            loss=self.head(prediction, target, mask),
            loss_early=self.head(early_prediction, target, mask),
        )

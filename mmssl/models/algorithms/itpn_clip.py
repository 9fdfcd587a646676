"""iTPN with a CLIP model as teacher."""

from __future__ import annotations

from torch import Tensor

from mmssl.models.algorithms.masked import MaskedAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class ITPNCLIP(MaskedAlgorithm):
    """Integrally Pre-Trained Transformer Pyramid Networks (Tian et al., 2023, arXiv:2211.12735v1), CLIP's features.

    The encoder sees all units, those that the mask hides replaced by one learned token where stage 3 begins; ``neck``
    is the pyramid with two predictions, ``head`` the loss of one, which counts all units unless it is told otherwise.

    Args:
        masker: Config of what draws the mask.
        target: Config of the teacher.
        **slots: Arguments of ``BaseAlgorithm``. The backbone has an ``early_block``.
    """

    views = Views(1, rendering=True)
    mask_token_cut = 2.0

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the errors of both predictions.

        Args:
            views: Images (N, 3, H, W), and another rendering of them for the teacher, which may be the same.
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

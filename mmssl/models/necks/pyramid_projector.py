"""A projector of the image beside a feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor

from mmssl.registry import NECKS


@NECKS.register_module()
class PyramidProjector(BaseModule):
    """Projects the pooled last map to a vector, and all maps to a pyramid, which a detector can take over.

    Args:
        projector: Config of the neck that makes the vector, such as an ``MLPProjector``.
        pyramid: Config of the pyramid, such as a ``TopDownNeck``.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, projector: dict, pyramid: dict, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.projector = NECKS.build(projector)
        self.pyramid = NECKS.build(pyramid)

    def forward(self, stages: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Returns the vector (N, D) and the levels (N, C, H, W), fine to coarse, for the maps of a backbone."""
        return self.projector(stages), *self.pyramid(stages)

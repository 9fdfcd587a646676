"""The last stage of a ResNet as the head of a detector."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.models.backbones.resnet import ResNet
from mmssl.registry import HEADS


@HEADS.register_module()
class LastStageHead(BaseModule):
    """``layer4`` of a ResNet as the shared head of a C4 detector, whose backbone ends with ``layer3``.

    The parameters have the names that they have in the whole network, so that ``TransferHook`` fills them from the
    backbone's checkpoint. MoCo's detectors (He et al., 2020, arXiv:1911.05722, appendix) have one more norm after the
    stage, because the features of an unsupervised network need not have the scale that the box head expects.

    Args:
        depth: Depth of the ``ResNet``.
        width: Factor of the channels of the ``ResNet``.
        extra_norm: Whether a batch norm, which no checkpoint of a backbone holds, follows the last ReLU.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self, depth: int = 50, width: float = 1, extra_norm: bool = False, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        network = ResNet(depth, width)
        self.layer4 = network.get_submodule('layer4')
        self.norm = nn.BatchNorm2d(network.feature_dim) if extra_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Returns features (K, D, 7, 7) for the maps (K, C, 14, 14) of K regions."""
        return self.norm(self.layer4(x))

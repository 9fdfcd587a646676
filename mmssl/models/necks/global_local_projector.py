"""Projectors of every stage, for whole images and for images in patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.models.layers.pooling import to_vector
from mmssl.models.necks.mlp_projector import MLPProjector
from mmssl.registry import NECKS


class StageProjectors(nn.Module):
    """One MLP for each stage, on the pooled maps of an image or on those of its patches side by side.

    Args:
        channels: Width of each stage.
        hidden_channels: Width of the hidden layer of each MLP.
        out_channels: Width of the embeddings.
        num_patches: Number of patches of an image, whose pooled maps form one vector; 1 for whole images.
    """

    def __init__(
        self, channels: Sequence[int], hidden_channels: Sequence[int], out_channels: int, num_patches: int = 1
    ) -> None:
        super().__init__()
        self.num_patches = num_patches
        self.stages = nn.ModuleList(
            MLPProjector(num_patches * width, hidden, out_channels, norm=False, bias=True, last_bias=True)
            for width, hidden in zip(channels, hidden_channels)
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Returns the embeddings (N, stages, D) for maps (N * num_patches, C, H, W), image by image."""
        pooled = (to_vector(stage).unflatten(0, (-1, self.num_patches)).flatten(1) for stage in maps)
        return torch.stack([project(vector) for project, vector in zip(self.stages, pooled)], dim=1)


@NECKS.register_module()
class GlobalLocalProjector(BaseModule):
    """DetCo's projectors (Xie et al., 2021, arXiv:2102.04803, Fig. 2): ``whole`` for images, ``patches`` for patches.

    Args:
        stage_channels: Width C of each stage.
        out_channels: Width of the embeddings.
        num_patches: Number of patches of an image.
        wide: Whether the hidden layers of ``patches`` are as wide as their input, ``num_patches`` * C, instead of C.
            The authors' code was never released and the two known re-implementations differ; with nine patches of a
            ResNet-50 wide layers have 456 million parameters.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        stage_channels: Sequence[int] = (256, 512, 1024, 2048),
        out_channels: int = 128,
        num_patches: int = 9,
        wide: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.out_channels = out_channels
        hidden = [num_patches * width if wide else width for width in stage_channels]
        self.whole = StageProjectors(stage_channels, stage_channels, out_channels)
        self.patches = StageProjectors(stage_channels, hidden, out_channels, num_patches)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Returns the embeddings of whole images, (N, stages, D), for the maps of a backbone."""
        return self.whole(maps)

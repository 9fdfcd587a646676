"""Features of a moving average of the encoder as a second target."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from mmssl.models.components.ema_teacher import EMATeacher
from mmssl.models.layers.initialization import truncated_normal_linear
from mmssl.models.losses.masked_mse_loss import masked_mse


class MaskedFeatureModelling(nn.Module):
    """iTPN's masked feature modelling (arXiv:2211.12735v1), as this project interprets the paper.

    The authors have not released their code for it and said that they will not, so this is not a reproduction. The
    paper says that a moving average of the encoder sees the whole image, and that the features of its stages are
    predicted as well as pixels. Here a linear layer per stage predicts, from the decoder's token of a hidden unit, the
    teacher's features of that unit: all its positions concatenated, each standardised by a layer norm without
    parameters. ``loss = weight * sum over the stages of masked_mse``.

    Args:
        backbone: Encoder that returns its stages by unit.
        in_channels: Width of the decoder's tokens.
        weight: Factor of the sum of the stages' losses.
        **teacher: Arguments of ``EMATeacher``. By default the momentum rises from 0.996 to 1 along a cosine, and the
            teacher drops no paths.
    """

    def __init__(self, backbone: nn.Module, in_channels: int, weight: float = 0.3, **teacher: Any) -> None:
        super().__init__()
        self.weight = weight
        self.teacher = EMATeacher(**dict(momentum=0.996, drop_path=False) | teacher, backbone=backbone)
        dim: Any = backbone.feature_dim
        self.predict = nn.ModuleList(nn.Linear(in_channels, width) for width in (4 * dim, 2 * dim, dim))
        self.apply(truncated_normal_linear)

    def forward(self, tokens: Tensor, images: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss, a scalar.

        Args:
            tokens: (N, L, in_channels), tokens of the decoder.
            images: (N, 3, H, W), all units of which the teacher sees.
            mask: (N, L) bool, True = hidden.
        """
        losses = [
            masked_mse(predict(tokens), target, mask) for predict, target in zip(self.predict, self.targets(images))
        ]
        return self.weight * torch.stack(losses).sum()

    @torch.no_grad()
    def targets(self, images: Tensor) -> list[Tensor]:
        """Returns targets (N, L, 4 C), (N, L, 2 C), (N, L, C), one per stage, for images (N, 3, H, W)."""
        return [layer_norm(stage, stage.shape[-1:]).flatten(2) for stage in self.teacher(images)]

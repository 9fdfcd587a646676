"""Linear layers from a student's features to the space of a teacher."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from timm.layers import trunc_normal_
from torch import Tensor, nn

from mmssl.models.layers.pooling import to_vector
from mmssl.registry import NECKS

KINDS = ('pooled', 'dense')


@NECKS.register_module()
class FeatureProjector(BaseModule):
    """One linear layer for the feature of the whole image, and one for the features of all positions.

    Args:
        in_channels: Width D of the student's features.
        out_channels: Width P of the teacher's features.
        kinds: Predicted features: ``'pooled'``, ``'dense'`` or both.
        num_prefix_tokens: Number of tokens before the patches of a student that returns tokens; the first one is the
            feature of the image.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``kinds`` is empty or names something else.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kinds: Sequence[str] = KINDS,
        num_prefix_tokens: int = 1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not kinds or not set(kinds) <= set(KINDS):
            raise ValueError(f'kinds must be some of {KINDS}, got {kinds}')
        self.kinds = tuple(kinds)
        self.num_prefix_tokens = num_prefix_tokens
        layers = {kind: nn.Linear(in_channels, out_channels) for kind in self.kinds}
        for layer in layers.values():
            trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        self.layers = nn.ModuleDict(layers)

    def forward(self, features: Tensor | tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Predicts the features of a teacher.

        Args:
            features: Output of a backbone: a map (N, D, h, w), tokens (N, num_prefix_tokens + L, D), or a tuple of
                these over stages, the last of which is used.

        Returns:
            ``pooled``, (N, P), and ``dense``, (N, L, P), those of ``kinds``.
        """
        features = features[-1] if isinstance(features, tuple) else features
        found = {}
        if 'pooled' in self.kinds:
            found['pooled'] = self.layers['pooled'](to_vector(features, self.num_prefix_tokens))
        if 'dense' in self.kinds:
            is_map = features.ndim == 4
            tokens = features.flatten(2).transpose(1, 2) if is_map else features[:, self.num_prefix_tokens :]
            found['dense'] = self.layers['dense'](tokens)
        return found

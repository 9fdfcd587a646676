"""Target: the features of any frozen network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.functional import interpolate, layer_norm

from mmssl.checkpoints.content import get_state_dict
from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.checkpoints.matching import load_matching
from mmssl.models.layers.feature_colors import feature_colors
from mmssl.models.layers.loading import leave_out_of_checkpoints, skip_on_load
from mmssl.models.layers.pooling import to_vector
from mmssl.registry import BACKBONES, TARGETS

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@TARGETS.register_module()
class FeatureTarget(BaseModule):
    """Features of the positions of an image, and of the whole image, from a frozen network.

    The network is any backbone: a ``ResNet`` with torchvision's weights, a ``VisionTransformer``, a ``TimmBackbone``
    with ``pool=False``, or a network that mmssl has trained. It is always in evaluation mode, and is excluded from
    checkpoints: its weights are read whenever the model is initialised.

    Args:
        backbone: Config of the network; it returns maps, of which the last one is used, or tokens.
        checkpoint: File with the weights, by the names of the backbone: a checkpoint or backbone file of mmssl, or of a
            library with the same names. ``mmssl convert`` makes one from another code's file. None keeps the weights
            with which the backbone is built: those of timm with ``pretrained=True``, else random ones.
        grid_size: Rows and columns to which the map of features is resized (bilinear), so that the network has as many
            positions as the student; None keeps them.
        standardize: Whether the features of each position get mean 0 and variance 1, by a layer norm without
            parameters.
        mean: Mean of red, green and blue, or of each band, on the scale 0-255, that the preprocessor has subtracted.
        std: Standard deviation of the same, on the scale 0-255, by which the preprocessor has divided.
        teacher_mean: Mean that is subtracted from the images of the network.
        teacher_std: Standard deviation by which the images of the network are divided.
    """

    def __init__(
        self,
        backbone: dict,
        checkpoint: str | None = None,
        grid_size: int | None = None,
        standardize: bool = False,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        teacher_mean: Sequence[float] = IMAGENET_MEAN,
        teacher_std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.teacher: Any = BACKBONES.build(backbone).requires_grad_(False)
        self.teacher.eval()
        leave_out_of_checkpoints(self)
        skip_on_load(self, 'teacher.')  # the running statistics of another network, in files of earlier versions
        self.checkpoint = checkpoint
        self.grid_size = grid_size
        self.standardize = standardize
        for name, values in (('mean', mean), ('std', std)):  # compared with those of the preprocessor
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1) / 255, persistent=False)
        self.affine = [
            (deviation / theirs_std, (center - theirs_mean) / theirs_std)
            for center, deviation, theirs_mean, theirs_std in zip(mean, std, teacher_mean, teacher_std, strict=True)
        ]

    def init_weights(self) -> None:
        """Reads the weights of the network.

        Raises:
            FileNotFoundError: The file does not exist.
            UserError: The file does not fit the network.
        """
        if self.checkpoint is not None:
            offered = get_state_dict(load_checkpoint_file(self.checkpoint))
            load_matching(self.teacher, offered, self.checkpoint, min_match=1.0, name='target.teacher')

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Returns the features (N, L, P) of all positions, row by row, for normalised images (N, 3, H, W)."""
        return self.encode(images)['dense']

    @torch.no_grad()
    def encode(self, images: Tensor) -> dict[str, Tensor]:
        """Encodes normalised images (N, 3, H, W).

        Returns:
            ``dense``, the features (N, L, P) of all positions, and ``pooled``, (N, P): the class token of a network
            that returns tokens, else the mean of the positions.

        Raises:
            ValueError: The network returns vectors, so there are no features of positions.
        """
        features = self.teacher(self.rescale(images))
        features = features[-1] if isinstance(features, tuple) else features
        if features.ndim == 2:
            raise ValueError(
                f'{type(self.teacher).__name__} returns one vector per image, and features of positions are needed: '
                "set output='tokens' of a transformer, or pool=False of a TimmBackbone"
            )
        prefix = getattr(self.teacher, 'num_prefix_tokens', None)
        pooled = to_vector(features, prefix)
        if features.ndim == 3:
            features = features[:, prefix:]
            rows = self._rows(features, images)
            features = features.transpose(1, 2).unflatten(2, (rows, -1))  # (N, P, rows, columns)
        if self.grid_size is not None and features.shape[-2:] != (self.grid_size, self.grid_size):
            features = interpolate(features, (self.grid_size, self.grid_size), mode='bilinear', align_corners=False)
        found = dict(pooled=pooled, dense=features.flatten(2).transpose(1, 2))
        if self.standardize:
            found = {name: layer_norm(values, values.shape[-1:]) for name, values in found.items()}
        return found

    def _rows(self, patches: Tensor, images: Tensor) -> int:
        """Returns the rows of patches (N, L, P) of images (N, 3, H, W); without a ``patch_size`` the grid is square."""
        side = getattr(self.teacher, 'patch_size', None)
        return round(patches.shape[1] ** 0.5) if side is None else -(-images.shape[-2] // side)

    def rescale(self, images: Tensor) -> Tensor:
        """Converts images (N, 3, H, W) from the preprocessor's normalisation to that of the network."""
        if all(pair == (1, 0) for pair in self.affine):
            return images
        pairs = zip(images.unbind(1), self.affine, strict=True)
        channels = [channel * factor + offset for channel, (factor, offset) in pairs]
        return torch.stack(channels, dim=1)

    def to_pixels(self, prediction: Tensor, images: Tensor) -> Tensor:
        """Draws features as colours, see ``feature_colors``.

        Args:
            prediction: (N, L, P).
            images: (N, 3, H, W), square, the images whose features were predicted.

        Returns:
            (N, L, p * p * 3), one colour for each patch of p pixels, on the scale of normalised images.
        """
        colors = feature_colors(prediction, self(images))
        patch = images.shape[-1] // round(colors.shape[1] ** 0.5)
        return colors.repeat(1, 1, patch**2)

    def train(self, mode: bool = True) -> FeatureTarget:
        """Sets the mode; the network stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

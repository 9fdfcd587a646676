"""Context encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.layers.patches import patchify
from mmssl.models.losses.numerics import in_full_precision
from mmssl.models.targets.pixel_target import PixelTarget
from mmssl.registry import ALGORITHMS, COMPONENTS
from mmssl.utils.errors import UserError

_PIXEL = 1  # side of the patches of figures
_HALF = 127.5  # mean and standard deviation of a preprocessor for images in [-1, 1]


@ALGORITHMS.register_module()
class ContextEncoder(BaseAlgorithm):
    """Context encoders: fill a hole in the middle of an image (Pathak et al., 2016, arXiv:1604.07379, section 3).

    The side of the hole is half of the image's; a rim of it stays visible. The objective is
    ``w MSE + (1 - w) BCE(D(fill), real)``, and a discriminator D learns ``BCE(D(true), real) + BCE(D(fill), fake)``.
    One optimizer moves all of them: the generator sees D as constant, and D sees the fill as constant, so one backward
    pass gives both gradients at the same weights. Officially D moves first and the generator gets the gradient through
    D's new weights with activations of its old ones.

    Args:
        discriminator: Config of a ``RegionDiscriminator``; None minimises the squared error alone (w = 1).
        reconstruction_weight: Weight w in [0, 1] of the squared error if there is a discriminator.
        fill: Pixel values of 0-255 in the hole, one per channel; the official order of ImageNet's means is kept.
        **slots: Arguments of ``BaseAlgorithm``; the neck is an ``InpaintingGenerator``, the head an ``InpaintingLoss``.

    Raises:
        ValueError: The preprocessor does not map pixels to [-1, 1], or an argument is outside its range.
    """

    views = Views(1)
    batch_coupled = 'batch norm'
    hole: Tensor

    def __init__(
        self,
        *,
        discriminator: dict | None = None,
        reconstruction_weight: float = 0.999,
        fill: Sequence[float] = (117, 104, 123),
        **slots: Any,
    ) -> None:
        super().__init__(**slots)
        if not 0 <= reconstruction_weight <= 1:
            raise ValueError(f'reconstruction_weight must lie in [0, 1], got {reconstruction_weight}')
        for name in ('mean', 'std'):
            values = getattr(self.data_preprocessor, name, None)
            if values is not None and not values.is_meta and not torch.allclose(values * 255, torch.tensor(_HALF)):
                raise ValueError(
                    f'the generator ends with tanh, so images must lie in [-1, 1]: set model.data_preprocessor.{name}='
                    f'[{_HALF}, {_HALF}, {_HALF}]'
                )
        self.discriminator = None if discriminator is None else COMPONENTS.build(discriminator)
        self.weight = 1.0 if discriminator is None else reconstruction_weight
        self.register_buffer('hole', torch.tensor(fill).view(3, 1, 1) / _HALF - 1, persistent=False)
        self.target = PixelTarget(_PIXEL, standardize=False)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the terms for one view (N, 3, H, H) in [-1, 1], and the unweighted squared error."""
        (images,) = views
        fills = self.fill(images)  # (N, 3, h, h)
        truth = self._centre(images, fills.shape[-1])
        losses = dict(loss_reconstruction=self.weight * self.head(fills, truth))
        losses['squared_error'] = mse_loss(fills.detach(), truth)
        if self.discriminator is not None:
            verdicts = self.discriminator(truth), self.discriminator(fills.detach()), self.discriminator.constant(fills)
            real, fake, hoped = (_verdict_error(x, is_real) for x, is_real in zip(verdicts, (True, False, True)))
            losses |= dict(loss_discriminator=real + fake, loss_adversarial=(1 - self.weight) * hoped)
        return losses

    def fill(self, images: Tensor) -> Tensor:
        """Returns the fills (N, 3, H / 2, H / 2) of the holes in images (N, 3, H, H).

        Raises:
            ValueError: The generator's output has another size.
        """
        fills = self.neck(self.backbone(self.context(images)))
        if fills.shape[-1] != images.shape[-1] // 2:
            raise ValueError(
                f'the hole in images of {images.shape[-1]} pixels has {images.shape[-1] // 2}, but model.neck makes '
                f'{fills.shape[-1]}: change model.neck.widths'
            )
        return fills

    def context(self, images: Tensor) -> Tensor:
        """Returns images (N, 3, H, H) with a hole of one colour; its rim stays visible.

        Raises:
            UserError: The rim is as wide as the hole, so that nothing is hidden.
        """
        size = images.shape[-1] // 2 - 2 * self.head.rim
        if size <= 0:
            raise UserError(
                f'model.head.rim={self.head.rim} leaves nothing of the hole in images of {images.shape[-1]} pixels: it '
                f'must be below {images.shape[-1] // 4}'
            )
        context = images.clone()
        self._centre(context, size).copy_(self.hole)
        return context

    @staticmethod
    def _centre(images: Tensor, size: int) -> Tensor:
        """Returns the central squares (N, 3, size, size), which share memory with the images."""
        start = (images.shape[-1] - size) // 2
        return images[..., start : start + size, start : start + size]

    def reconstruct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Fills the holes of images, for figures: returns the mask (N, L) and the filled patches (N, L, P)."""
        filled, hidden = images.clone(), torch.zeros_like(images[:, :1])
        fills = self.fill(images)
        self._centre(filled, fills.shape[-1]).copy_(fills)
        self._centre(hidden, fills.shape[-1] - 2 * self.head.rim).fill_(1)
        return patchify(hidden, _PIXEL)[..., 0].bool(), patchify(filled, _PIXEL)

    def visible(self, images: Tensor, mask: Tensor) -> Tensor:
        """Returns what the network sees of images (N, 3, H, H)."""
        return self.context(images)


@in_full_precision
def _verdict_error(logits: Tensor, is_real: bool) -> Tensor:
    """Returns the mean error of the discriminator's logits (N,) for regions that are all real or all generated."""
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(is_real)))

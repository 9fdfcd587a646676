"""Colourisation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.color_prior import ColorPrior
from mmssl.models.layers.lab import ab_bins, annealed_mean, soft_bins
from mmssl.models.layers.patches import unpatchify
from mmssl.registry import ALGORITHMS, TARGETS
from mmssl.utils.errors import UserError


@ALGORITHMS.register_module()
class Colorization(BaseAlgorithm):
    """Colorful Image Colorization (Zhang et al., 2016, arXiv:1603.08511, section 2).

    From the lightness of an image the network predicts the colour of every position, one of 313 bins of the ab plane.
    The target is soft: the ten nearest bins. Rare colours count more, by the weight of the bin that is nearest. Images
    without colours (every ab of the target within ``gray_threshold``) have weight 0. The backbone turns normalised
    colour images into lightness itself, with ``Lightness``, so it is used downstream like any other.

    Args:
        target: Config of a ``ColorTarget``.
        prior: Arguments of ``ColorPrior``.
        gray_threshold: Largest absolute a or b of an image that is ignored as grey.
        temperature: Temperature of ``annealed_mean``, with which figures are coloured.
        **slots: Arguments of ``BaseAlgorithm``; the neck is a ``ColorUpsampler``, the head a ``RebalancedColorLoss``.
    """

    views = Views(1)
    batch_coupled = 'batch norm'
    bins: Tensor

    def __init__(
        self,
        *,
        target: dict,
        prior: dict | None = None,
        gray_threshold: float = 5.0,
        temperature: float = 0.38,
        **slots: Any,
    ) -> None:
        super().__init__(**slots)
        self.target = TARGETS.build(target)
        self.prior = ColorPrior(**(prior or {}))
        self.gray_threshold, self.temperature = gray_threshold, temperature
        self.register_buffer('bins', ab_bins(), persistent=False)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the rebalanced cross entropy of one view (N, 3, H, W), a sum over positions, mean over images."""
        (images,) = views
        logits = self.predict_bins(images)  # (N, Q, h, w)
        ab = self.target(images)  # (N, 2, h, w)
        indices, shares = soft_bins(ab, self.bins)  # (N, K, h, w) each
        has_colour = (ab.abs() > self.gray_threshold).flatten(1).any(dim=1)  # (N,)
        weights = self.prior.weights().to(ab.dtype)[indices[:, 0]] * has_colour[:, None, None]  # (N, h, w)
        self.prior.stage(indices, shares)
        return dict(loss=self.head(logits, indices, shares, weights))

    def predict_bins(self, images: Tensor) -> Tensor:
        """Returns the logits (N, Q, h, w) of the bins at the positions of the target, for images (N, 3, H, W).

        Raises:
            UserError: The network predicts other positions than those of the target.
        """
        logits = self.neck(self.backbone(images))
        (height, width), stride = images.shape[-2:], self.target.stride
        grid = -(-height // stride), -(-width // stride)
        if logits.shape[-2:] != grid:
            raise UserError(
                f'a view of {height} x {width} pixels has {grid[0]} x {grid[1]} colours with model.target.stride='
                f'{stride}, but the network predicts {logits.shape[-2]} x {logits.shape[-1]}: change '
                'model.target.stride, or take a view whose side is a multiple of all strides of the network'
            )
        return logits

    def reconstruct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Colours normalised images (N, 3, H, W), for figures.

        Returns:
            The mask (N, L) bool, which is True everywhere, and the predicted ab (N, 2, h, w).
        """
        ab = annealed_mean(self.predict_bins(images).float(), self.bins, self.temperature)
        return torch.ones(len(images), ab[0, 0].numel(), dtype=torch.bool, device=images.device), ab

    def visible(self, images: Tensor, mask: Tensor) -> Tensor:
        """Returns what the network sees of normalised images (N, 3, H, W): their lightness, as grey images."""
        grid = images.shape[-2] // self.target.stride, images.shape[-1] // self.target.stride
        grey = self.target.to_pixels(images.new_zeros(len(images), 2, *grid), images)
        return unpatchify(grey, self.target.stride, grid)

    def on_train_start(self) -> None:
        """Starts to count colours: those of loaded weights belong to other images."""
        self.prior.restart()

    def on_step_end(self, progress: float) -> None:
        """Counts the colours of the step."""
        self.prior.commit()

"""Draws the gradient of the loss with respect to the image, for several networks side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from mmssl.evaluation.extract import evaluating
from mmssl.models.layers.input_gradient import input_gradient
from mmssl.models.preprocessing.pixels import from_pixels
from mmssl.visualization.image_grid import image_grid

DEVIATIONS = 3  # a gradient of so many standard deviations is drawn black or white


def image_gradients(model: Any, images: Tensor, labels: Tensor) -> Tensor:
    """Returns the gradients of the cross entropy with respect to pixels, (N, 3, H, W), on the CPU.

    The model's modes and weights and the random state of the process do not change.

    Args:
        model: Algorithm with ``predict``.
        images: uint8 (N, 3, H, W).
        labels: (N,) int64.
    """
    device = next(model.parameters()).device
    with evaluating(model), torch.enable_grad():
        pixels = images.to(device).float().requires_grad_()
        logits = model.predict(from_pixels(pixels, model.data_preprocessor))
        return input_gradient(logits, labels.to(device), pixels, 'cross_entropy').cpu()


def gradient_pictures(gradients: Tensor) -> Tensor:
    """Scales gradients to pictures, (N, 3, H, W) in [0, 1]: zero becomes 0.5 (grey).

    Each picture has its own scale: minus three standard deviations of its gradient become 0 (black) and plus three
    become 1 (white), as in Tsipras et al., 2019, arXiv:1805.12152.

    Args:
        gradients: (N, 3, H, W).
    """
    scale = gradients.flatten(1).std(dim=1)[:, None, None, None].clamp(min=torch.finfo(gradients.dtype).tiny)
    return (gradients / (DEVIATIONS * scale)).clamp(-1, 1) / 2 + 0.5


def input_gradient_figure(images: Tensor, gradients: Mapping[str, Tensor]) -> Figure:
    """Draws one row per image: the image and the gradient of every network (IGAM, arXiv:1912.05699, Figure 1).

    Args:
        images: uint8 (N, 3, H, W).
        gradients: Name of a network -> its gradients (N, 3, H, W).
    """
    columns = [images.float() / 255, *(gradient_pictures(gradient) for gradient in gradients.values())]
    return image_grid(torch.stack(columns, dim=1), ['image', *gradients], gaps=[1], side=1.3)

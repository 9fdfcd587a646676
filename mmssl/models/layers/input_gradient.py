"""The gradient of a classifier with respect to its input."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

GRAD_TARGETS = ('probability', 'cross_entropy', 'logit')


def check_grad_target(target: str) -> str:
    """Returns ``target`` if it is valid.

    Raises:
        ValueError: ``target`` is not one of ``GRAD_TARGETS``.
    """
    if target not in GRAD_TARGETS:
        raise ValueError(f'grad_target must be one of {GRAD_TARGETS}, got {target!r}')
    return target


def input_gradient(
    logits: Tensor, labels: Tensor, images: Tensor, target: str = 'probability', create_graph: bool = False
) -> Tensor:
    """Returns ``J_n = d sum_m f_m / d x_n``, where f is the probability, cross entropy or logit of the true class.

    For one network ``J(cross entropy) = -J(probability) / p``, where p is the probability of the true class: the
    directions are opposite and the images have other weights. With batch norms in evaluation mode the images are
    independent of each other; in training mode J_n includes the influence of image n on the whole batch.

    Args:
        logits: (N, C), computed from ``images`` with autograd.
        labels: (N,) int64 in [0, C).
        images: (N, 3, H, W) with ``requires_grad``; the unit of J is 1 / the unit of the images.
        target: Name of f, one of ``GRAD_TARGETS``.
        create_graph: Whether J can be differentiated with respect to the weights.

    Returns:
        J, (N, 3, H, W).
    """
    if target == 'cross_entropy':
        scores = F.cross_entropy(logits, labels, reduction='sum')
    else:
        values = logits.softmax(dim=1) if target == 'probability' else logits
        scores = values.gather(1, labels[:, None]).sum()
    (gradient,) = torch.autograd.grad(scores, images, create_graph=create_graph)
    return gradient

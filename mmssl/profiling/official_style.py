"""Losses computed in the way of the official codes, to compare the cost of a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, mse_loss, normalize, relu

from mmssl.models.layers.pooling import to_vector


def care_official_style(model: Any, views: list[Tensor]) -> Tensor:
    """Computes CARE's loss: networks that normalise their outputs, then the terms written out for both directions."""
    _average_one_by_one(model)

    def student(images: Tensor) -> tuple[Tensor, Tensor]:
        c_stream, t_stream = model.neck(model.backbone(images))
        return normalize(model.head.c_predictor(c_stream)), normalize(model.head.t_predictor(t_stream))

    @torch.no_grad()
    def teacher(images: Tensor) -> tuple[Tensor, Tensor]:
        c_stream, t_stream = model.teacher.neck(model.teacher.backbone(images))
        return normalize(c_stream), normalize(t_stream)

    (q1, a1), (q2, a2) = student(views[0]), student(views[1])
    (k1, t1), (k2, t2) = teacher(views[1]), teacher(views[0])
    c_loss = (4 - 2 * (q1 * k1).sum(dim=1) - 2 * (q2 * k2).sum(dim=1)).mean()
    t_loss = (4 - 2 * (a1 * t1).sum(dim=1) - 2 * (a2 * t2).sum(dim=1)).mean()
    attention = mse_loss(q1, a1.detach()) + mse_loss(q2, a2.detach()) + mse_loss(k1, t1) + mse_loss(k2, t2)
    return c_loss + t_loss + model.head.loss.attention_weight * attention


def barlow_twins_official_style(model: Any, views: list[Tensor]) -> Tensor:
    """Computes Barlow Twins' loss: off-diagonal elements are a view of the matrix without its diagonal."""
    first, second = model.neck(model.backbone(views[0])), model.neck(model.backbone(views[1]))
    correlation = (first.T @ second).div_(len(first))
    redundancy = _off_diagonal(correlation).pow(2).sum()
    invariance = (torch.diagonal(correlation) - 1).pow(2).sum()
    return invariance + model.head.redundancy_weight * redundancy


def vicreg_official_style(model: Any, views: list[Tensor]) -> Tensor:
    """Computes VICReg's loss: all terms of both embeddings written out, on embeddings that are centred once."""
    first, second = model.neck(model.backbone(views[0])), model.neck(model.backbone(views[1]))
    count, width = first.shape
    distance = mse_loss(first, second)
    first, second = first - first.mean(dim=0), second - second.mean(dim=0)
    first_std, second_std = (first.var(dim=0) + 1e-4).sqrt(), (second.var(dim=0) + 1e-4).sqrt()
    hinge = relu(1 - first_std).mean() / 2 + relu(1 - second_std).mean() / 2
    first_covariance, second_covariance = first.T @ first / (count - 1), second.T @ second / (count - 1)
    penalty = sum(_off_diagonal(c).pow(2).sum() / width for c in (first_covariance, second_covariance))
    weights = model.head.weights
    return weights['invariance'] * distance + weights['variance'] * hinge + weights['covariance'] * penalty


def dino_official_style(model: Any, views: list[Tensor]) -> Tensor:
    """Computes DINO's loss: one forward pass per size, outputs appended one by one, and a loop over pairs of views."""
    _average_one_by_one(model)
    with torch.no_grad():
        teacher = model.teacher.neck(model.teacher.backbone(torch.cat(views[:2])))
    _, counts = torch.unique_consecutive(torch.tensor([view.shape[-1] for view in views]), return_counts=True)
    features, start = views[0].new_empty(0), 0
    for end in counts.cumsum(0).tolist():
        features, start = torch.cat((features, to_vector(model.backbone(torch.cat(views[start:end]))))), end
    student = (model.neck(features) / model.head.temperature).chunk(len(views))
    targets = torch.softmax((teacher - model.targets.center) / model.targets.temperature(), dim=-1).chunk(2)
    pairs = [
        torch.sum(-target * log_softmax(logits, dim=-1), dim=-1).mean()
        for i, target in enumerate(targets)
        for j, logits in enumerate(student)
        if i != j
    ]
    momentum = model.targets.center_momentum
    model.targets.center.copy_(momentum * model.targets.center + (1 - momentum) * teacher.sum(dim=0) / len(teacher))
    return torch.stack(pairs).mean()


def _off_diagonal(matrix: Tensor) -> Tensor:
    """Returns the off-diagonal elements (D - 1, D) of a matrix (D, D), as a view if possible."""
    width = len(matrix)
    return matrix.flatten()[1:].unflatten(0, (width - 1, width + 1))[:, :-1]


@torch.no_grad()
def _average_one_by_one(model: Any) -> None:
    momentum = model.teacher.momentum
    for name, part in model.teacher.named_children():
        for old, new in zip(part.parameters(), model.get_submodule(name).parameters()):
            old.data = old.data * momentum + new.data * (1 - momentum)


OFFICIAL_STYLE: dict[str, Callable[[Any, list[Tensor]], Tensor]] = {
    'CARE': care_official_style,
    'BarlowTwins': barlow_twins_official_style,
    'VICReg': vicreg_official_style,
    'DINO': dino_official_style,
}

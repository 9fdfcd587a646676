"""Projected gradient descent against a classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from mmssl.models.layers.indexed_noise import indexed_uniform
from mmssl.registry import COMPONENTS

Predict = Callable[[Tensor], Tensor]
NORMS = ('linf', 'l2')
OBJECTIVES = ('cross_entropy', 'margin')
WHITE = 255.0
_MARGIN = 50.0  # the official code's value
_MAX_RESTARTS = 1000


@dataclass
class AttackTrace:
    """The result of an attack on N images.

    Args:
        pixels: The adversarial images, (N, 3, H, W) in [0, 255].
        losses: The objective before the first step and after each of K steps, (K + 1, N), mean over restarts; None for
            an attack without such values.
    """

    pixels: Tensor
    losses: Tensor | None = None


@COMPONENTS.register_module()
class PGDAttack(nn.Module):
    r"""Projected gradient descent (Madry et al., 2018, arXiv:1706.06083, section 2.1).

    It starts from ``x_0 = clip(x + noise)``; each step is ``x_{t+1} = clip(project(x_t + step_size *
    direction(g_t)))``, where ``g_t`` is the gradient of the objective. The direction is ``sign(g)`` for L-infinity and
    ``g / |g|`` of each image for L2, ``project`` projects onto the ball of radius ``epsilon`` around x, and ``clip``
    keeps pixels in [0, 255].

    Pixels are floating point numbers throughout. The official code of IGAM differs: its attack without random start
    computes in bytes, which overflow, and its L2 norm is the norm of the whole batch.

    The random start of an image depends only on ``seed``, its index, the restart and ``draw``. Therefore N processes
    give the attack of one process, and a resumed run gives the attack of an uninterrupted run. Under autocast in
    float16 the attack computes in float32, because gradients with respect to pixels are too small for float16.

    Args:
        epsilon: Radius of the ball, in pixel values of 0-255, > 0.
        step_size: Size of a step, in pixel values of 0-255, > 0.
        num_steps: Number of steps, at least 1.
        norm: Norm of the ball: ``'linf'`` or ``'l2'``.
        random_start: Whether noise, uniform in the ball, is added at the start; if False the attack starts from the
            image.
        num_restarts: Number of runs of the attack. For each image a run that makes the classifier wrong is kept, else
            the run with the highest objective.
        objective: Objective that the attack increases: ``'cross_entropy'``, or ``'margin'``, which is ``-max(z_y -
            max_{c != y} z_c + 50, 0)`` for logits z and label y (Carlini and Wagner, 2017, arXiv:1608.04644, with
            Madry's confidence 50).
        seed: Seed of the random starts.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(
        self,
        epsilon: float = 8.0,
        step_size: float = 2.0,
        num_steps: int = 20,
        norm: str = 'linf',
        random_start: bool = True,
        num_restarts: int = 1,
        objective: str = 'cross_entropy',
        seed: int = 0,
    ) -> None:
        super().__init__()
        if norm not in NORMS or objective not in OBJECTIVES:
            raise ValueError(
                f'norm must be one of {NORMS} and objective one of {OBJECTIVES}, got {norm!r} and {objective!r}'
            )
        if not (epsilon > 0 and step_size > 0 and num_steps >= 1 and 1 <= num_restarts <= _MAX_RESTARTS):
            raise ValueError(
                'an attack needs epsilon > 0 and step_size > 0 in pixel values of 0-255, num_steps >= 1 and '
                f'num_restarts in 1 to {_MAX_RESTARTS}, got {epsilon}, {step_size}, {num_steps} and {num_restarts}'
            )
        if num_restarts > 1 and not random_start:
            raise ValueError('without a random start all restarts are equal: set num_restarts=1')
        self.epsilon, self.step_size, self.num_steps, self.norm = epsilon, step_size, num_steps, norm
        self.random_start, self.num_restarts, self.objective, self.seed = random_start, num_restarts, objective, seed

    def forward(
        self, predict: Predict, pixels: Tensor, labels: Tensor, indices: Tensor, draw: int | Tensor = 0
    ) -> Tensor:
        """Returns adversarial images (N, 3, H, W) in [0, 255], without gradient.

        Args:
            predict: Function: pixels (N, 3, H, W) in [0, 255] -> logits (N, C).
            pixels: (N, 3, H, W) in [0, 255], floating point.
            labels: (N,) int64, classes of the images.
            indices: (N,) int64, positions of the images in their dataset.
            draw: Number that selects the random starts, so that they can differ between the steps of a training.
        """
        if self.num_restarts > 1:
            return self.trace(predict, pixels, labels, indices, draw).pixels
        return self._climb(predict, self._start(pixels, indices, draw, 0), pixels, labels)[0]

    def trace(
        self, predict: Predict, pixels: Tensor, labels: Tensor, indices: Tensor, draw: int | Tensor = 0
    ) -> AttackTrace:
        """Returns the adversarial images and the objective at every step; arguments as for ``forward``."""
        best, best_score, courses = pixels, None, []
        for restart in range(self.num_restarts):
            attacked, losses = self._climb(predict, self._start(pixels, indices, draw, restart), pixels, labels)
            with torch.no_grad():
                logits = predict(attacked)
                losses.append(self._objective(logits, labels))
                score = losses[-1].masked_fill(logits.argmax(dim=1) != labels, torch.inf)
            courses.append(torch.stack(losses))
            better = torch.ones_like(labels, dtype=torch.bool) if best_score is None else score > best_score
            best = torch.where(better[:, None, None, None], attacked, best)
            best_score = score if best_score is None else torch.maximum(score, best_score)
        return AttackTrace(best, torch.stack(courses).mean(dim=0))

    def _start(self, pixels: Tensor, indices: Tensor, draw: int | Tensor, restart: int) -> Tensor:
        pixels = pixels.detach()
        if not self.random_start:
            return pixels
        seed = (draw * 1_000_003 + self.seed) * _MAX_RESTARTS + restart
        uniform = indexed_uniform(indices, (pixels[0].numel() + 1,), seed).to(pixels.dtype)
        radius, uniform = uniform[:, 0], uniform[:, 1:].unflatten(1, pixels.shape[1:])
        if self.norm == 'linf':
            noise = (2 * uniform - 1) * self.epsilon
        else:  # direction uniform on the sphere, times the radius that makes the point uniform in the ball
            lengths = self.epsilon * radius ** (1 / pixels[0].numel())
            noise = _unit(torch.special.ndtri(uniform)) * lengths[:, None, None, None]
        return (pixels + noise).clamp(0, WHITE)

    def _climb(self, predict: Predict, start: Tensor, pixels: Tensor, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Takes all steps; returns the final images (N, 3, H, W) and the objective (N,) before each step."""
        x, pixels, losses = start, pixels.detach(), []
        with torch.enable_grad(), _enough_precision(pixels.device.type):
            for _ in range(self.num_steps):
                x = x.detach().requires_grad_()
                objective = self._objective(predict(x), labels)
                (gradient,) = torch.autograd.grad(objective.sum(), x)
                losses.append(objective.detach())
                x = self._project(x.detach() + self.step_size * self._direction(gradient), pixels)
        return x, losses

    def _objective(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns the objective that the attack increases, (N,)."""
        logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
        if self.objective == 'cross_entropy':
            return F.cross_entropy(logits, labels, reduction='none')
        own = logits.gather(1, labels[:, None]).squeeze(1)
        others = logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
        return -(own - others + _MARGIN).clamp(min=0)

    def _direction(self, gradient: Tensor) -> Tensor:
        return gradient.sign() if self.norm == 'linf' else _unit(gradient)

    def _project(self, x: Tensor, pixels: Tensor) -> Tensor:
        change = x - pixels
        if self.norm == 'linf':
            change = change.clamp(-self.epsilon, self.epsilon)
        else:
            change = change * (self.epsilon / _length(change).clamp(min=self.epsilon))
        return (pixels + change).clamp(0, WHITE)


@contextmanager
def statistics_kept(model: nn.Module) -> Iterator[None]:
    """Keeps the running statistics of batch norms unchanged inside a ``with`` block, also in training mode.

    An attack on a network in training mode uses the statistics of the batch, but only the training step should update
    the running statistics.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats and m.training]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def _enough_precision(device_type: str) -> torch.autocast | nullcontext:
    is_half = torch.is_autocast_enabled(device_type) and torch.get_autocast_dtype(device_type) == torch.float16
    return torch.autocast(device_type, enabled=False) if is_half else nullcontext()


def _length(x: Tensor) -> Tensor:
    """Returns the Euclidean length of each image, (N, 1, 1, 1)."""
    return x.flatten(1).norm(dim=1)[:, None, None, None]


def _unit(x: Tensor) -> Tensor:
    """Divides each image by its Euclidean length; an image of zeros is not changed."""
    return x / _length(x).clamp(min=torch.finfo(x.dtype).tiny)

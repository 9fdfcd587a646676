"""Trains many linear classifiers at once on cached features."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.evaluation.extract import Features, number_classes
from mmssl.registry import METRICS

HEADS = ('standardized', 'scaled', 'unit')
_CHUNK = 4096


class Scaler:
    """Scales features so that the same range of learning rates suits every backbone.

    Args:
        vectors: (N, D).
        rows: (R,) int64, the rows on which the classifiers are trained; only these give the statistics.
        head: ``'standardized'`` scales each dimension to mean 0 and variance 1 (the batch norm of MAE's probe),
            ``'scaled'`` multiplies all entries by one factor so that their mean square is 1 (a plain linear layer),
            ``'unit'`` scales each vector to length sqrt(D).

    Raises:
        ValueError: ``head`` is unknown.
    """

    def __init__(self, vectors: Tensor, rows: Tensor, head: str) -> None:
        if head not in HEADS:
            raise ValueError(f'head must be one of {HEADS}, got {head!r}')
        self.is_unit = head == 'unit'
        centre = vectors.new_zeros(vectors.shape[1], dtype=torch.float64)
        square = torch.zeros_like(centre)
        if head == 'standardized':
            for part in rows.split(_CHUNK):
                centre += vectors[part].double().sum(0) / len(rows)
        for part in rows.split(_CHUNK):
            square += (vectors[part].double() - centre).square().sum(0) / len(rows)
        self.centre = centre.to(vectors.dtype)
        self.scale = (square if head == 'standardized' else square.mean()).sqrt().clamp(min=1e-6).to(vectors.dtype)

    def __call__(self, vectors: Tensor) -> Tensor:
        """Returns scaled vectors (N, D)."""
        if self.is_unit:
            return normalize(vectors) * vectors.shape[1] ** 0.5
        return (vectors - self.centre) / self.scale


def train_classifiers(
    vectors: Tensor,
    labels: Tensor,
    *,
    num_classes: int,
    lrs: Sequence[float],
    weight_decays: Sequence[float],
    rows: Tensor | None = None,
    scale: Callable[[Tensor], Tensor] | None = None,
    epochs: float = 30,
    batch_size: int = 1024,
    momentum: float = 0.9,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Trains K linear classifiers by SGD on the same batches, with one matrix product for all of them.

    Each classifier equals one that ``torch.optim.SGD`` trains with the mean cross entropy and its own learning rate and
    weight decay. The learning rate is multiplied by batch size / 256 and decays to 0 with a cosine. Weights start at
    zero, because the problem is convex and no other start is better. An epoch drops the images that do not fill a
    batch.

    Args:
        vectors: Features (N, D).
        labels: (N,) int64 in [0, C).
        num_classes: Number of classes C.
        lrs: Learning rates of the K classifiers at batch size 256.
        weight_decays: Coefficients of the L2 term on weights and biases of the K classifiers.
        rows: (R,) int64, the images to train on; None trains on all.
        scale: Function that is applied to every batch (B, D) of vectors; None changes nothing.
        epochs: Number of passes over the rows.
        batch_size: Number of images per step, at most R.
        momentum: Weight of the old velocity, as in ``torch.optim.SGD``.
        generator: CPU generator that draws the order of the images; None takes torch's global generator.

    Returns:
        Weights (D + 1, K, C); the last row holds the biases.

    Raises:
        ValueError: ``lrs`` is empty, or ``lrs`` and ``weight_decays`` differ in length.
    """
    if not lrs or len(lrs) != len(weight_decays):
        raise ValueError(f'as many learning rates as decays are needed, got {len(lrs)} and {len(weight_decays)}')
    rows = torch.arange(len(vectors), device=vectors.device) if rows is None else rows
    batch_size = min(batch_size, len(rows))
    steps_per_epoch = len(rows) // batch_size
    total = max(round(epochs * steps_per_epoch), 1)
    rate = vectors.new_tensor(lrs).view(-1, 1) * batch_size / 256  # (K, 1)
    decay = vectors.new_tensor(weight_decays).view(-1, 1)
    weights = vectors.new_zeros(vectors.shape[1] + 1, len(lrs), num_classes)
    velocity = torch.zeros_like(weights)
    column = torch.arange(batch_size, device=vectors.device)
    for step in range(total):
        if step % steps_per_epoch == 0:
            order = torch.randperm(len(rows), generator=generator).to(rows.device)
        batch = rows[order[step % steps_per_epoch * batch_size :][:batch_size]]
        x = _with_one(vectors[batch], scale)  # (B, D + 1)
        error = torch.softmax(_logits(x, weights), dim=-1)  # (B, K, C)
        error[column, :, labels[batch]] -= 1
        gradient = (x.T @ error.flatten(1)).view_as(weights)
        velocity.mul_(momentum).add_(gradient, alpha=1 / batch_size).add_(weights * decay)
        weights -= velocity * (rate * (0.5 + 0.5 * math.cos(math.pi * step / total)))
    return weights


def classifier_accuracies(
    weights: Tensor,
    features: Features,
    rows: Tensor | None = None,
    scale: Callable[[Tensor], Tensor] | None = None,
    num_best: int = 1,
) -> list[float]:
    """Returns the top-``num_best`` accuracy of each classifier in per cent.

    Args:
        weights: Weights (D + 1, K, C) from ``train_classifiers``; the logits of a classifier that diverged to NaN count
            as 0.
        features: Labelled features (N, D).
        rows: (R,) int64, the images to evaluate; None evaluates all.
        scale: Function that is applied to the vectors, see ``train_classifiers``.
        num_best: Number of highest logits among which the label counts as found, at most C.
    """
    rows = torch.arange(len(features), device=features.labels.device) if rows is None else rows
    correct = torch.zeros(weights.shape[1], dtype=torch.int64, device=weights.device)
    for part in rows.split(_CHUNK):
        logits = torch.nan_to_num(_logits(_with_one(features.vectors[part], scale), weights))  # (R, K, C)
        best = logits.topk(min(num_best, logits.shape[-1])).indices
        correct += (best == features.labels[part, None, None]).any(-1).sum(0)
    return (100 * correct.double() / len(rows)).tolist()


def _logits(x: Tensor, weights: Tensor) -> Tensor:
    """Returns the logits (B, K, C) for vectors (B, D + 1) and weights (D + 1, K, C), by one matrix product."""
    return (x @ weights.flatten(1)).unflatten(1, weights.shape[1:])


def _with_one(vectors: Tensor, scale: Callable[[Tensor], Tensor] | None) -> Tensor:
    """Returns the scaled vectors with a column of ones appended, (B, D + 1); the weight of this column is the bias."""
    vectors = vectors if scale is None else scale(vectors)
    return torch.cat([vectors, vectors.new_ones(len(vectors), 1)], dim=1)


@dataclass
class Candidate:
    """One setting of the sweep and its accuracy.

    Args:
        head: Scaling of the features, see ``Scaler``.
        lr: Learning rate at batch size 256.
        weight_decay: Coefficient of the L2 term.
        held_out: Top-1 accuracy in per cent on the held-out training images, one number per seed.
    """

    head: str
    lr: float
    weight_decay: float
    held_out: list[float]


@dataclass
class SweepResult:
    """The result of a sweep.

    Args:
        candidates: All settings.
        chosen: Best setting of each seed.
        top1: Top-1 accuracy of the chosen setting on the queries in per cent, one number per seed.
        top5: Top-5 accuracy of the chosen setting on the queries in per cent, one number per seed.
    """

    candidates: list[Candidate]
    chosen: list[Candidate]
    top1: list[float]
    top5: list[float]

    def summary(self) -> dict[str, float]:
        """Returns mean and standard deviation over the seeds: ``sweep_top1``, ``sweep_top1_std`` and ``sweep_top5``."""
        spread = stdev(self.top1) if len(self.top1) > 1 else 0.0
        return dict(sweep_top1=fmean(self.top1), sweep_top1_std=spread, sweep_top5=fmean(self.top5))


@METRICS.register_module()
class LinearSweep:
    """Linear probe that chooses its own learning rate, weight decay and scaling: it trains all settings at once.

    For each seed, a random part of the training images is held out and every setting is trained on the rest. The
    setting with the best accuracy on the held-out images is trained again on all training images and evaluated on the
    queries, which therefore take no part in the choice. The features are cached, so images are not augmented; the
    numbers are close to those of the published protocols but not equal.

    The results are ``sweep_top1`` and ``sweep_top5``, the means over the seeds, and ``sweep_top1_std``, the standard
    deviation of the top-1 accuracy.

    Args:
        lrs: Learning rates at batch size 256, for features whose entries have a size of about 1.
        weight_decays: Coefficients of the L2 term; every combination with ``lrs`` and ``heads`` is a setting.
        heads: Scalings of the features, see ``Scaler``.
        epochs: Number of passes over the training images.
        batch_size: Number of images per step.
        num_seeds: Number of seeds; each one has its own order of the images and its own held-out part.
        held_out: Share of the training images that is held out, in (0, 1).
        seed: First seed.

    Raises:
        ValueError: A setting is missing or outside its range.
    """

    needs_labels = True

    def __init__(
        self,
        lrs: Sequence[float] = (1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
        weight_decays: Sequence[float] = (0.0, 1e-4),
        heads: Sequence[str] = ('standardized',),
        epochs: float = 30,
        batch_size: int = 1024,
        num_seeds: int = 3,
        held_out: float = 0.1,
        seed: int = 0,
    ) -> None:
        if not (lrs and weight_decays and heads) or num_seeds < 1 or not 0 < held_out < 1:
            raise ValueError(
                'lrs, weight_decays and heads need at least one entry, num_seeds >= 1 and 0 < held_out < 1 must hold; '
                f'got {lrs}, {weight_decays}, {heads}, {num_seeds} and {held_out}'
            )
        if unknown := [head for head in heads if head not in HEADS]:
            raise ValueError(f'heads must be a list of {HEADS}, got {unknown[0]!r}')
        finite = all(0 < value < math.inf for value in (*lrs, epochs)) and all(0 <= d < math.inf for d in weight_decays)
        if not finite or batch_size < 1:
            raise ValueError(
                'lrs and epochs must be positive and finite, weight_decays not negative and finite, and batch_size at '
                f'least 1; got {lrs}, {epochs}, {weight_decays} and {batch_size}'
            )
        self.settings = list(itertools.product(lrs, weight_decays))
        self.heads = tuple(heads)
        self.epochs = epochs
        self.batch_size = batch_size
        self.seeds = range(seed, seed + num_seeds)
        self.held_out = held_out

    result_names = ('sweep_top1', 'sweep_top1_std', 'sweep_top5')

    def __call__(self, bank: Features, queries: Features) -> dict[str, float]:
        return self.run(bank, queries).summary()

    @torch.no_grad()
    def run(self, bank: Features, queries: Features) -> SweepResult:
        """Trains all settings, chooses the best one per seed and evaluates it.

        Args:
            bank: Features of the training images.
            queries: Features of the test images.

        Raises:
            ValueError: There are no labels, too few training images to hold some out, or a feature is not finite.
        """
        bank.check_finite('bank')
        queries.check_finite('queries')
        bank, queries, num_classes = number_classes(bank, queries)
        num_held_out = int(self.held_out * len(bank))
        if num_held_out < 1:
            raise ValueError(f'{len(bank)} labelled training images are too few to hold out {self.held_out:g} of them')
        candidates = [Candidate(head, *setting, held_out=[]) for head in self.heads for setting in self.settings]
        result = SweepResult(candidates, [], [], [])
        for seed in self.seeds:
            generator = torch.Generator().manual_seed(seed)
            order = torch.randperm(len(bank), generator=generator).to(bank.labels.device)
            held_out, kept = order[:num_held_out], order[num_held_out:]
            for head in self.heads:
                same_head = [candidate for candidate in candidates if candidate.head == head]
                weights, scale = self._train(bank, kept, head, same_head, num_classes, generator)
                for candidate, accuracy in zip(same_head, classifier_accuracies(weights, bank, held_out, scale)):
                    candidate.held_out.append(accuracy)
            best = max(candidates, key=lambda candidate: candidate.held_out[-1])
            weights, scale = self._train(bank, order, best.head, [best], num_classes, generator)
            result.chosen.append(best)
            result.top1 += classifier_accuracies(weights, queries, scale=scale)
            result.top5 += classifier_accuracies(weights, queries, scale=scale, num_best=5)
        return result

    def _train(
        self,
        bank: Features,
        rows: Tensor,
        head: str,
        settings: list[Candidate],
        num_classes: int,
        generator: torch.Generator,
    ) -> tuple[Tensor, Scaler]:
        scale = Scaler(bank.vectors, rows, head)
        weights = train_classifiers(
            bank.vectors,
            bank.labels,
            num_classes=num_classes,
            lrs=[setting.lr for setting in settings],
            weight_decays=[setting.weight_decay for setting in settings],
            rows=rows,
            scale=scale,
            epochs=self.epochs,
            batch_size=self.batch_size,
            generator=generator,
        )
        return weights, scale

"""A linear classifier on cached features."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import torch
from torch import Tensor
from torch.nn import functional as F

from mmssl.evaluation.accuracy import top_accuracy
from mmssl.evaluation.extract import Features, number_classes
from mmssl.registry import METRICS


def fit_linear(
    vectors: Tensor, labels: Tensor, *, num_classes: int, penalty: float = 1.0, max_iterations: int = 200
) -> tuple[Tensor, Tensor]:
    """Multinomial logistic regression: minimises sum of cross entropies + penalty / 2 * |W|^2 by L-BFGS.

    The problem is convex and the initial weights are zero, so the result depends only on the arguments. With fewer
    vectors than dimensions it is solved in the space that the vectors span, which contains the optimal weights.

    Args:
        vectors: (N, D) floating point, standardised or of a similar scale.
        labels: (N,) int64 in [0, C).
        num_classes: Number of classes C.
        penalty: Strength of the penalty on the weights (not on the bias); scikit-learn's argument ``C`` is
            1 / ``penalty``.
        max_iterations: Largest number of L-BFGS iterations.

    Returns:
        Weights (C, D) and bias (C,).
    """
    if len(vectors) < vectors.shape[1]:
        basis = torch.linalg.qr(vectors.T).Q  # (D, N)
        weight, bias = fit_linear(
            vectors @ basis, labels, num_classes=num_classes, penalty=penalty, max_iterations=max_iterations
        )
        return weight @ basis.T, bias
    weight = vectors.new_zeros(num_classes, vectors.shape[1], requires_grad=True)
    bias = vectors.new_zeros(num_classes, requires_grad=True)
    solver = torch.optim.LBFGS(
        [weight, bias],
        max_iter=max_iterations,
        history_size=10,
        tolerance_grad=1e-5,
        tolerance_change=1e-8,
        line_search_fn='strong_wolfe',
    )

    def objective() -> Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(F.linear(vectors, weight, bias), labels)
        loss = loss + penalty / (2 * len(vectors)) * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        solver.step(objective)
    return weight.detach(), bias.detach()


def draw_per_class(labels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Returns the row numbers (K,) int64 of ``count`` random images per class.

    Args:
        labels: (N,) int64 on the CPU.
        count: Number of images per class; a class with fewer images gives all of them.
        generator: Generator of the random draw.
    """
    shuffled = torch.randperm(len(labels), generator=generator)
    return torch.cat([shuffled[labels[shuffled] == label][:count] for label in labels.unique()])


@METRICS.register_module()
class LinearProbe:
    """Top-1 and top-5 accuracy of a linear classifier on frozen, standardised features in per cent.

    The classifier is a logistic regression, solved to convergence on the cached features of the bank. It needs no
    learning rate and no augmentation and takes seconds instead of hours; the numbers differ from those of the published
    protocols with SGD. Features are standardised with the mean and standard deviation of the images on which the
    classifier is trained.

    The results are ``linear_top1`` and ``linear_top5``, or ``linear10_top1`` and ``linear10_top5`` with
    ``labels_per_class=10``.

    Args:
        penalty: Strength of the squared penalty, see ``fit_linear``. If there are several, the one with the best
            accuracy on a held-out fifth of the training images is used; the queries take no part in this choice.
            Fewer than five training images raise a ``ValueError`` then.
        labels_per_class: Number of training images per class; None trains on all images.
        num_draws: Number of random draws of ``labels_per_class`` images over which the accuracy is averaged.
        seed: Seed of the draws and of the held-out fifth.

    Raises:
        ValueError: ``penalty`` is negative, not finite or empty, or a count is less than 1.
    """

    needs_labels = True

    def __init__(
        self,
        penalty: float | Sequence[float] = 1.0,
        labels_per_class: int | None = None,
        num_draws: int = 10,
        seed: int = 0,
    ) -> None:
        self.penalties = list(penalty) if isinstance(penalty, Sequence) else [penalty]
        if not self.penalties or not all(0 <= penalty < float('inf') for penalty in self.penalties):
            raise ValueError(f'penalty must be one or more finite numbers of at least 0, got {penalty}')
        if num_draws < 1 or (labels_per_class is not None and labels_per_class < 1):
            raise ValueError(
                f'labels_per_class (None: all) and num_draws must be at least 1, got {labels_per_class} and {num_draws}'
            )
        self.labels_per_class = labels_per_class
        self.num_draws = num_draws if labels_per_class else 1
        self.seed = seed

    @property
    def result_names(self) -> list[str]:
        """Keys of the results."""
        return [f'linear{self.labels_per_class or ""}_top{best}' for best in (1, 5)]

    def __call__(self, bank: Features, queries: Features) -> dict[str, float]:
        bank, queries, num_classes = number_classes(bank, queries)
        generator = torch.Generator().manual_seed(self.seed)
        accuracies = [self._one_draw(bank, queries, num_classes, generator) for _ in range(self.num_draws)]
        name = f'linear{self.labels_per_class or ""}'
        return {f'{name}_top{best}': fmean(values) for best, values in zip((1, 5), zip(*accuracies))}

    def _one_draw(
        self, bank: Features, queries: Features, num_classes: int, generator: torch.Generator
    ) -> tuple[float, float]:
        if self.labels_per_class:
            bank = bank.select(draw_per_class(bank.labels.cpu(), self.labels_per_class, generator))
        scale = bank.vectors.std(0, correction=int(len(bank) > 1)).clamp(min=1e-6)  # 0 and not NaN for one image
        centre = bank.vectors.mean(0)
        train, test = ((vectors - centre) / scale for vectors in (bank.vectors, queries.vectors))
        penalty = self._choose_penalty(train, bank.labels, num_classes, generator)
        weight, bias = fit_linear(train, bank.labels, num_classes=num_classes, penalty=penalty)
        scores = F.linear(test, weight, bias)
        return top_accuracy(scores, queries.labels), top_accuracy(scores, queries.labels, 5)

    def _choose_penalty(self, vectors: Tensor, labels: Tensor, num_classes: int, generator: torch.Generator) -> float:
        if len(self.penalties) == 1:
            return self.penalties[0]
        if len(labels) < 5:
            raise ValueError(
                f'{len(labels)} labelled training images are too few to hold out a fifth: give a single penalty'
            )
        order = torch.randperm(len(labels), generator=generator).to(labels.device)
        held_out, kept = order[: len(order) // 5], order[len(order) // 5 :]

        def held_out_accuracy(penalty: float) -> float:
            weight, bias = fit_linear(vectors[kept], labels[kept], num_classes=num_classes, penalty=penalty)
            return top_accuracy(F.linear(vectors[held_out], weight, bias), labels[held_out])

        return max(self.penalties, key=held_out_accuracy)

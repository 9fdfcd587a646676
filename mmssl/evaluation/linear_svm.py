"""Linear support vector machines on frozen features, one class against the rest."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.svm import LinearSVC

COSTS = (0.01, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0, 1000.0)
SHOTS = (1, 2, 4, 8, 16, 32, 64, 96)


def average_precision(targets: np.ndarray, scores: np.ndarray) -> float:
    """Area under the precision-recall curve, made monotone: at each recall the best precision at that recall or more.

    PASCAL VOC's measure since 2010; that of 2007 takes the mean at eleven recalls instead, and scikit-learn's
    ``average_precision_score`` leaves the curve as it is.

    Args:
        targets: (N,), 1 for positives, 0 for negatives, -1 for images that do not count.
        scores: (N,), larger for positives.

    Returns:
        In [0, 1]; NaN where nothing is positive.
    """
    counts = targets >= 0
    targets, scores = targets[counts], scores[counts]
    hits = targets[np.argsort(-scores, kind='stable')] > 0
    if not hits.any():
        return float('nan')
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].mean())  # recall rises at the positives, by the same amount each


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Rows divided by (length + 1e-5), float64.

    Args:
        vectors: (N, D).
    """
    vectors = vectors.astype(np.float64)
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-5)


def make_svm(cost: float) -> LinearSVC:
    """The classifier of the benchmark: squared hinge, solved in the dual, positives count twice.

    Args:
        cost: Weight of the hinge against the squared norm of the weights.
    """
    return LinearSVC(
        C=cost,
        class_weight={1: 2, -1: 1},
        intercept_scaling=1.0,
        penalty='l2',
        loss='squared_hinge',
        tol=1e-4,
        dual=True,
        max_iter=2000,
        random_state=0,
    )


@dataclass
class SVMResult:
    """What ``evaluate_svm`` found.

    Args:
        average_precisions: Per class, in [0, 1].
        costs: The chosen cost of each class.
    """

    average_precisions: list[float]
    costs: list[float]

    @property
    def mean(self) -> float:
        """Mean average precision over classes, per cent."""
        return 100 * fmean(self.average_precisions)


def evaluate_svm(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    costs: Sequence[float] = COSTS,
    num_jobs: int = 1,
) -> SVMResult:
    """The full benchmark (Goyal et al., 2019, arXiv:1905.01235, VISSL's settings).

    Of each class the cost is chosen by the mean average precision (scikit-learn's) over three folds of the training
    images; one classifier with that cost learns from all of them. Images that do not count are negatives in training
    and left out of the test.

    Args:
        train: Features (N, D) and targets (N, C) as of ``VOCClassification``.
        test: Likewise.
        costs: What is chosen from.
        num_jobs: Processes; classes are shared among them.
    """
    vectors, test_vectors = unit_vectors(train[0]), unit_vectors(test[0])
    results = Parallel(num_jobs)(
        delayed(_one_class)(vectors, _signs(train[1][:, column]), test_vectors, test[1][:, column], costs)
        for column in range(train[1].shape[1])
    )
    return SVMResult(*map(list, zip(*results)))


def _one_class(
    vectors: np.ndarray, signs: np.ndarray, test_vectors: np.ndarray, targets: np.ndarray, costs: Sequence[float]
) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ConvergenceWarning)  # the number of iterations is part of the protocol
        if len(costs) > 1:
            quality = [
                cross_val_score(make_svm(cost), vectors, signs, cv=3, scoring='average_precision').mean()
                for cost in costs
            ]
            cost = costs[int(np.argmax(quality))]
        else:
            (cost,) = costs
        scores = make_svm(cost).fit(vectors, signs).decision_function(test_vectors)
    return average_precision(targets, scores), cost


def _signs(targets: np.ndarray) -> np.ndarray:
    return np.where(targets == 1, 1, -1)


def draw_low_shot(targets: np.ndarray, shots: int, rng: np.random.Generator) -> np.ndarray:
    """Draws, for each class on its own, ``shots`` positives and (C - 1) * ``shots`` negatives.

    Args:
        targets: (N, C) as of ``VOCClassification``.
        shots: Positives per class.
        rng: Source of the draw.

    Returns:
        (N, C): ``targets`` where an image was drawn for a class, -1 elsewhere.

    Raises:
        ValueError: A class has fewer positives, or no negatives.
    """
    drawn = np.full_like(targets, -1)
    for column in range(targets.shape[1]):
        positives, negatives = (np.flatnonzero(targets[:, column] == value) for value in (1, 0))
        if len(positives) < shots or not len(negatives):
            raise ValueError(
                f'class {column} has {len(positives)} positives and {len(negatives)} negatives, too few for {shots}'
            )
        wanted = min((targets.shape[1] - 1) * shots, len(negatives))
        rows = np.concatenate([rng.choice(positives, shots, False), rng.choice(negatives, wanted, False)])
        drawn[rows, column] = targets[rows, column]
    return drawn


def _low_shot_map(
    vectors: np.ndarray, drawn: np.ndarray, test_vectors: np.ndarray, test_targets: np.ndarray, cost: float
) -> float:
    precisions = []
    for column in range(drawn.shape[1]):
        rows = drawn[:, column] >= 0
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', ConvergenceWarning)
            svm = make_svm(cost).fit(vectors[rows], _signs(drawn[rows, column]))
        precisions.append(average_precision(test_targets[:, column], svm.decision_function(test_vectors)))
    return 100 * fmean(precisions)


@dataclass
class LowShotResult:
    """What ``evaluate_low_shot`` found.

    Args:
        shots: Positives per class.
        costs: The costs.
        maps: (samples, shots, costs) mean average precision on the test images, per cent.
    """

    shots: list[int]
    costs: list[float]
    maps: np.ndarray

    def best(self) -> dict[int, float]:
        """Shots -> mean over samples with the cost that is best ON THE TEST IMAGES, as published: it flatters."""
        return dict(zip(self.shots, self.maps.mean(0).max(1).tolist()))


def evaluate_low_shot(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    shots: Iterable[int] = SHOTS,
    costs: Sequence[float] = COSTS,
    num_samples: int = 5,
    seed: int = 0,
    num_jobs: int = 1,
) -> LowShotResult:
    """The low-shot benchmark: one classifier per sample, number of shots, class and cost, without cross-validation.

    Images that were not drawn for a class are left out of its training, unlike those that do not count in the full
    benchmark.

    Args:
        train: Features (N, D) and targets (N, C).
        test: Likewise.
        shots: Positives per class.
        costs: Every one is evaluated.
        num_samples: Draws; VISSL's are fixed lists, these are drawn from ``seed``.
        seed: Of the draws.
        num_jobs: Processes.
    """
    vectors, test_vectors = unit_vectors(train[0]), unit_vectors(test[0])
    shots = list(shots)
    drawn = [
        draw_low_shot(train[1], number, np.random.default_rng((seed, sample, number)))
        for sample in range(num_samples)
        for number in shots
    ]
    maps = Parallel(num_jobs)(
        delayed(_low_shot_map)(vectors, targets, test_vectors, test[1], cost) for targets in drawn for cost in costs
    )
    return LowShotResult(shots, list(costs), np.reshape(maps, (num_samples, len(shots), len(costs))))

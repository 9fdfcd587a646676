"""The SVM benchmark: linear support vector machines on frozen features, one per class against the rest."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.svm import LinearSVC

COSTS = (0.01, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0, 1000.0)
SHOTS = (1, 2, 4, 8, 16, 32, 64, 96)
FOLDS = 3


def average_precision(targets: np.ndarray, scores: np.ndarray) -> float:
    """Average precision as PASCAL VOC has computed it since 2010: the area under the monotone precision-recall curve.

    The monotone curve has at each recall the best precision at that or any higher recall. VOC 2007 takes the mean at
    eleven recalls instead, and scikit-learn's ``average_precision_score`` does not make the curve monotone.

    Args:
        targets: (N,) integers: 1 for positives, 0 for negatives, -1 for images to ignore.
        scores: (N,) scores, higher for more likely positives; images with equal scores are ranked in their order.

    Returns:
        Average precision in [0, 1], NaN if there are no positives.
    """
    counts = targets >= 0
    targets, scores = targets[counts], scores[counts]
    hits = targets[np.argsort(-scores, kind='stable')] > 0
    if not hits.any():
        return float('nan')
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].mean())  # each positive raises the recall by the same amount


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Returns the rows of ``vectors`` (N, D) divided by (length + 1e-5), float64."""
    vectors = vectors.astype(np.float64)
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-5)


def make_svm(cost: float) -> LinearSVC:
    """Returns the classifier of the benchmark: squared hinge loss, solved in the dual, positives with weight 2.

    Args:
        cost: Weight C of the hinge loss relative to the squared norm of the weights.
    """
    from sklearn.svm import LinearSVC  # here, because scikit-learn is slow to import

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
    """The result of ``evaluate_svm``.

    Args:
        average_precisions: Average precision of each class on the test images, in [0, 1].
        costs: Chosen cost of each class.
    """

    average_precisions: list[float]
    costs: list[float]

    @property
    def mean(self) -> float:
        """Mean average precision over the classes in per cent."""
        return 100 * fmean(self.average_precisions)


def evaluate_svm(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    costs: Sequence[float] = COSTS,
    num_jobs: int = 1,
) -> SVMResult:
    """Runs the full benchmark (Goyal et al., 2019, arXiv:1905.01235) with VISSL's settings.

    For each class, the cost with the best mean average precision (scikit-learn's) over three folds of the training
    images is chosen. A classifier with this cost is then trained on all training images. Images with target -1 are
    negatives in training and are ignored in the test.

    Args:
        train: Features (N, D) and targets (N, C) of the training images, see ``VOCClassification``.
        test: Features (N, D) and targets (N, C) of the test images.
        costs: Costs to choose from.
        num_jobs: Number of processes that share the classes.

    Raises:
        ValueError: There is no cost, or one is not positive and finite; or a class has too few positives or negatives
            to train on, or no positives to test on.
    """
    from joblib import Parallel, delayed  # here, because it is slow to import

    _check_costs(costs)
    check_classes(train[1], test[1], least=FOLDS if len(costs) > 1 else 1)
    vectors, test_vectors = unit_vectors(train[0]), unit_vectors(test[0])
    results = Parallel(num_jobs)(
        delayed(_one_class)(vectors, _signs(train[1][:, column]), test_vectors, test[1][:, column], costs)
        for column in range(train[1].shape[1])
    )
    return SVMResult(*map(list, zip(*results)))


def _one_class(
    vectors: np.ndarray, signs: np.ndarray, test_vectors: np.ndarray, targets: np.ndarray, costs: Sequence[float]
) -> tuple[float, float]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import cross_val_score

    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ConvergenceWarning)  # the protocol stops after max_iter, converged or not
        if len(costs) > 1:
            quality = [
                cross_val_score(make_svm(cost), vectors, signs, cv=FOLDS, scoring='average_precision').mean()
                for cost in costs
            ]
            cost = costs[int(np.argmax(quality))]
        else:
            (cost,) = costs
        scores = make_svm(cost).fit(vectors, signs).decision_function(test_vectors)
    return average_precision(targets, scores), cost


def check_classes(train: np.ndarray, test: np.ndarray, least: int) -> None:
    """Checks that classifiers of all classes can be trained and tested.

    Args:
        train: (N, C) targets of the training images, see ``VOCClassification``.
        test: (N, C) targets of the test images.
        least: Smallest number of positives and of negatives of a class among the training images.

    Raises:
        ValueError: A class has too few images.
    """
    for column in range(train.shape[1]):
        positives, tested = int((train[:, column] == 1).sum()), int((test[:, column] == 1).sum())
        negatives = len(train) - positives  # images that do not count are negatives in training
        if min(positives, negatives) < least or not tested:
            raise ValueError(
                f'class {column} has {positives} positives and {negatives} negatives among the training images and '
                f'{tested} positives among the test images: at least {least}, {least} and 1 are needed'
            )


def _check_costs(costs: Sequence[float]) -> None:
    if not costs or not all(0 < cost < float('inf') for cost in costs):
        raise ValueError(f'costs must be one or more positive, finite numbers, got {list(costs)}')


def _signs(targets: np.ndarray) -> np.ndarray:
    return np.where(targets == 1, 1, -1)


def draw_low_shot(targets: np.ndarray, shots: int, rng: np.random.Generator) -> np.ndarray:
    """Draws ``shots`` positives and up to (C - 1) * ``shots`` negatives for each class separately.

    Args:
        targets: (N, C), see ``VOCClassification``.
        shots: Number of positives per class.
        rng: Generator of the random draws.

    Returns:
        (N, C): the entry of ``targets`` if the image was drawn for the class, else -1.

    Raises:
        ValueError: A class has fewer than ``shots`` positives, or no negatives.
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
    from sklearn.exceptions import ConvergenceWarning

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
    """The result of ``evaluate_low_shot``.

    Args:
        shots: Numbers of positives per class.
        costs: Costs of the classifiers.
        maps: (samples, shots, costs) mean average precision on the test images in per cent.
    """

    shots: list[int]
    costs: list[float]
    maps: np.ndarray

    def best(self) -> dict[int, float]:
        """Returns number of shots -> mean over the samples in per cent, with the cost that is best on the TEST images.

        The published numbers choose the cost in this way. They are too high, because the test images take part.
        """
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
    """Runs the low-shot benchmark: one classifier per sample, number of shots, class and cost, no cross-validation.

    The classifier of a class is trained only on the images that were drawn for this class.

    Args:
        train: Features (N, D) and targets (N, C) of the training images, see ``VOCClassification``.
        test: Features (N, D) and targets (N, C) of the test images.
        shots: Numbers of positives per class.
        costs: Costs to evaluate.
        num_samples: Number of random draws of the training images. VISSL uses fixed lists instead.
        seed: Seed of the draws.
        num_jobs: Number of processes.

    Raises:
        ValueError: ``num_samples`` or a number of shots is less than 1, there are no shots or no costs, a cost is not
            positive and finite, or a class has too few images.
    """
    shots = list(shots)
    from joblib import Parallel, delayed  # here, because it is slow to import

    if num_samples < 1 or not shots or min(shots) < 1:
        raise ValueError(
            f'num_samples and one or more numbers of shots must be at least 1, got {num_samples} and {shots}'
        )
    _check_costs(costs)
    check_classes(train[1], test[1], least=1)
    vectors, test_vectors = unit_vectors(train[0]), unit_vectors(test[0])
    drawn = [
        draw_low_shot(train[1], number, np.random.default_rng((seed, sample, number)))
        for sample in range(num_samples)
        for number in shots
    ]
    maps = Parallel(num_jobs)(
        delayed(_low_shot_map)(vectors, targets, test_vectors, test[1], cost) for targets in drawn for cost in costs
    )
    return LowShotResult(shots, list(costs), np.reshape(maps, (num_samples, len(shots), len(costs))))

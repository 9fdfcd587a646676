"""SVM benchmark: average precision by hand, what counts in training and test, who chooses the cost."""

from __future__ import annotations

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.model_selection import cross_val_score
from sklearn.svm import LinearSVC

from mmssl.evaluation.linear_svm import (
    COSTS,
    average_precision,
    draw_low_shot,
    evaluate_low_shot,
    evaluate_svm,
    make_svm,
    unit_vectors,
)


def area_by_hand(targets: np.ndarray, scores: np.ndarray) -> float:
    """The measure in the words of the VOC development kit: steps of recall times the envelope of precision."""
    ranked = targets[np.argsort(-scores)]
    true = np.cumsum(ranked == 1)
    recall, precision = true / true[-1], true / np.arange(1, len(ranked) + 1)
    recall, precision = np.concatenate([[0], recall, [1]]), np.concatenate([[0], precision, [0]])
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    return sum((recall[i + 1] - recall[i]) * precision[i + 1] for i in range(len(recall) - 1))


def problem(count: int, num_classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around class directions, several classes an image, some entries that do not count."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((count, num_classes)) < 0.4).astype(np.int8)
    vectors = targets @ np.eye(num_classes, 10) + 0.4 * rng.standard_normal((count, 10))
    targets[rng.random(targets.shape) < 0.05] = -1
    return vectors.astype(np.float32), targets


def test_average_precision_is_an_area_and_not_the_mean_at_eleven_recalls():
    targets, scores = np.array([1, 0, 1, 0, 1]), np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    assert average_precision(targets, scores) == pytest.approx(0.755556, abs=5e-7)  # eleven recalls: 0.763636
    assert average_precision(targets[::-1], scores) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert average_precision(np.array([0, 1]), np.array([1.0, 0.0])) == 0.5
    assert average_precision(np.array([0, 1, 1]), np.array([2.0, 1.0, 0.0])) == pytest.approx(2 / 3)  # the envelope
    assert np.isnan(average_precision(np.zeros(3), np.arange(3.0)))


def test_average_precision_of_random_rankings():
    rng = np.random.default_rng(0)
    for _ in range(20):
        targets, scores = rng.integers(0, 2, 30), rng.standard_normal(30)
        assert average_precision(targets, scores) == pytest.approx(area_by_hand(targets, scores))


def test_classes_with_too_few_images_are_refused():
    train, test = problem(60), problem(30, seed=1)
    few, none = train[1].copy(), test[1].copy()
    few[2:, 1], few[:2, 1], none[none[:, 2] == 1, 2] = 0, 1, 0
    with pytest.raises(ValueError, match='class 1 has 2 positives and 58 negatives .*at least 3, 3 and 1'):
        evaluate_svm((train[0], few), test)
    with pytest.raises(ValueError, match='class 2 has .* and 0 positives among the test images'):
        evaluate_svm(train, (test[0], none), costs=(1.0,))
    with pytest.raises(ValueError, match='must be at least 1, got 5 and .0.'):
        evaluate_low_shot(train, test, shots=[0])


def test_images_that_do_not_count_change_nothing():
    rng = np.random.default_rng(0)
    targets, scores = rng.integers(0, 2, 40), rng.standard_normal(40)
    more = np.concatenate([targets, np.full(10, -1)]), np.concatenate([scores, rng.standard_normal(10)])
    order = rng.permutation(50)
    assert average_precision(more[0][order], more[1][order]) == average_precision(targets, scores)


def test_settings_of_the_classifier():
    settings = make_svm(3.0).get_params()
    expected = dict(C=3.0, loss='squared_hinge', penalty='l2', dual=True, tol=1e-4, max_iter=2000)
    assert settings | expected == settings and settings['class_weight'] == {1: 2, -1: 1}
    assert COSTS == (0.01, 0.1, 1, 2, 5, 10, 15, 20, 50, 100, 1000)


def test_length_of_the_vectors():
    vectors = np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(unit_vectors(vectors), [[3 / 5.00001, 4 / 5.00001], [0, 0]])
    assert unit_vectors(vectors).dtype == np.float64


def test_full_benchmark_is_scikit_learn_class_by_class():
    train, test, costs = problem(90), problem(60, seed=1), (0.001, 0.1, 10.0)
    result = evaluate_svm(train, test, costs)
    vectors, test_vectors = unit_vectors(train[0]), unit_vectors(test[0])
    for column in range(3):
        signs = 2 * (train[1][:, column] == 1) - 1  # what does not count is a negative here
        svms = {
            cost: LinearSVC(C=cost, class_weight={1: 2, -1: 1}, dual=True, max_iter=2000, random_state=0)
            for cost in costs
        }
        quality = [cross_val_score(svms[c], vectors, signs, cv=3, scoring='average_precision').mean() for c in costs]
        best = costs[int(np.argmax(quality))]
        assert result.costs[column] == best
        scores = svms[best].fit(vectors, signs).decision_function(test_vectors)
        counts = test[1][:, column] >= 0
        expected = area_by_hand(test[1][counts, column], scores[counts])
        assert result.average_precisions[column] == pytest.approx(expected)
    assert result.mean == pytest.approx(100 * np.mean(result.average_precisions)) and result.mean > 60


def test_test_images_do_not_choose_the_cost():
    train, test = problem(90), problem(60, seed=1)
    opposite = test[0], np.where(test[1] >= 0, 1 - test[1], -1)
    assert evaluate_svm(train, test, (0.001, 10.0)).costs == evaluate_svm(train, opposite, (0.001, 10.0)).costs


def test_low_shot_draw():
    targets = problem(200, num_classes=4)[1]
    drawn = draw_low_shot(targets, 5, np.random.default_rng(0))
    assert ((drawn == 1).sum(0) == 5).all() and ((drawn == 0).sum(0) == 15).all()
    assert (drawn[drawn >= 0] == targets[drawn >= 0]).all()
    again, other = (draw_low_shot(targets, 5, np.random.default_rng(seed)) for seed in (0, 1))
    assert (again == drawn).all() and (other != drawn).any()
    with pytest.raises(ValueError, match='too few for 150'):
        draw_low_shot(targets, 150, np.random.default_rng(0))


def test_low_shot_benchmark():
    train, test = problem(300), problem(100, seed=1)
    result = evaluate_low_shot(train, test, shots=(1, 20), costs=(0.1, 1.0), num_samples=3)
    assert result.maps.shape == (3, 2, 2)
    best = result.best()
    assert best[20] == pytest.approx(result.maps[:, 1].mean(0).max()) and best[20] > best[1]
    drawn = draw_low_shot(train[1], 20, np.random.default_rng((0, 2, 20)))  # the third sample
    vectors, precisions = unit_vectors(train[0]), []
    for column in range(3):
        rows = drawn[:, column] >= 0
        svm = make_svm(1.0).fit(vectors[rows], np.where(drawn[rows, column] == 1, 1, -1))
        precisions.append(average_precision(test[1][:, column], svm.decision_function(unit_vectors(test[0]))))
    assert result.maps[2, 1, 1] == pytest.approx(100 * np.mean(precisions))


def test_processes_change_nothing():
    train, test = problem(90), problem(60, seed=1)
    with parallel_config(backend='multiprocessing'):  # forked: joblib's own start a new Python each
        results = evaluate_svm(train, test, (0.1, 10.0), num_jobs=2)
    assert results == evaluate_svm(train, test, (0.1, 10.0))


@pytest.mark.parametrize('costs', [(), (1.0, 0.0), (float('nan'),)])
@pytest.mark.parametrize('evaluate', [evaluate_svm, evaluate_low_shot])
def test_costs_without_a_meaning_are_refused(evaluate, costs):
    data = np.eye(6), np.eye(2, dtype=int)[[0, 1] * 3]
    with pytest.raises(ValueError, match='costs must be one or more positive, finite numbers'):
        evaluate(data, data, costs=costs, **({} if evaluate is evaluate_svm else dict(shots=(1,))))


def test_no_shots_are_refused():
    data = np.eye(6), np.eye(2, dtype=int)[[0, 1] * 3]
    with pytest.raises(ValueError, match='one or more numbers of shots'):
        evaluate_low_shot(data, data, shots=())

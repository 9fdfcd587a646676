"""Linear probe: the optimum of a convex problem, checked against its own conditions and scikit-learn."""

import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from mmssl.evaluation.extract import Features
from mmssl.evaluation.linear_probe import LinearProbe, draw_per_class, fit_linear
from mmssl.evaluation.linear_sweep import LinearSweep


def clusters(count: int, spread: float = 0.3, seed: int = 0) -> Features:
    """Three Gaussian clusters in eight dimensions, with offsets and scales that ask for standardisation."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    vectors = torch.eye(3, 8)[labels] + spread * torch.randn(count, 8, generator=generator)
    return Features(vectors * torch.logspace(-2, 2, 8) + 5, labels, torch.arange(count))


def test_fit_agrees_with_scikit_learn() -> None:
    data = clusters(90)
    vectors = ((data.vectors - data.vectors.mean(0)) / data.vectors.std(0)).double()
    weight, bias = fit_linear(vectors, data.labels, num_classes=3, penalty=2.0)
    theirs = LogisticRegression(C=0.5, tol=1e-8, max_iter=1000).fit(vectors.numpy(), data.labels.numpy())
    torch.testing.assert_close(weight, torch.from_numpy(theirs.coef_), atol=1e-4, rtol=1e-3)
    # the bias is free up to a constant over classes
    torch.testing.assert_close(bias - bias.mean(), torch.from_numpy(theirs.intercept_), atol=1e-3, rtol=1e-3)


def test_fewer_vectors_than_dimensions_agree_with_scikit_learn() -> None:
    vectors = torch.randn(12, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(12) % 3
    weight, bias = fit_linear(vectors, labels, num_classes=3)
    theirs = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(vectors.numpy(), labels.numpy())
    torch.testing.assert_close(weight, torch.from_numpy(theirs.coef_), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(bias - bias.mean(), torch.from_numpy(theirs.intercept_), atol=1e-3, rtol=1e-3)


def test_gradient_vanishes_at_the_solution() -> None:
    data = clusters(60)
    vectors = ((data.vectors - data.vectors.mean(0)) / data.vectors.std(0)).double()
    weight, bias = (part.requires_grad_() for part in fit_linear(vectors, data.labels, num_classes=3, penalty=1.0))
    logits = vectors @ weight.T + bias
    loss = torch.nn.functional.cross_entropy(logits, data.labels, reduction='sum') + weight.square().sum() / 2
    gradients = torch.autograd.grad(loss, [weight, bias])
    assert max(gradient.abs().max().item() for gradient in gradients) < 1e-2


def test_separable_features_are_classified_and_units_do_not_matter() -> None:
    bank, queries = clusters(150, spread=0.05), clusters(60, spread=0.05, seed=1)
    assert LinearProbe()(bank, queries) == dict(linear_top1=100.0, linear_top5=100.0)
    hard_bank, hard_queries = clusters(150, spread=0.8), clusters(60, spread=0.8, seed=1)
    scaled_bank = Features(hard_bank.vectors * 64 - 8, hard_bank.labels, hard_bank.indices)
    scaled_queries = Features(hard_queries.vectors * 64 - 8, hard_queries.labels, hard_queries.indices)
    assert LinearProbe()(hard_bank, hard_queries) == pytest.approx(LinearProbe()(scaled_bank, scaled_queries), abs=2)


def test_the_probe_is_scikit_learns_on_features_in_units_of_the_bank() -> None:
    """With unequal classes and queries of another mean, where bias, penalty and statistics decide."""
    bank, queries = clusters(150, spread=1.0), clusters(400, spread=1.0, seed=1)
    bank, queries = bank.select((bank.labels > 0) | (bank.indices < 30)), queries.select(queries.labels < 2)
    centre, scale = bank.vectors.mean(0), bank.vectors.std(0)
    train, test = (((data.vectors - centre) / scale).numpy() for data in (bank, queries))
    theirs = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(train, bank.labels.numpy())
    expected = 100 * theirs.score(test, queries.labels.numpy())
    assert LinearProbe()(bank, queries)['linear_top1'] == pytest.approx(expected, abs=0.2) and 30 < expected < 90
    assert LinearProbe(labels_per_class=10).num_draws == 10


def test_few_labels_are_drawn_per_class_with_a_seed() -> None:
    labels = torch.tensor([0, 0, 0, 2, 2, 1, 1, 1, 1])
    rows = draw_per_class(labels, 3, torch.Generator().manual_seed(0))
    assert torch.bincount(labels[rows]).tolist() == [3, 3, 2]
    assert len(rows.unique()) == len(rows)
    assert torch.equal(rows, draw_per_class(labels, 3, torch.Generator().manual_seed(0)))


def test_few_labels_average_over_draws_and_know_less_than_all_labels() -> None:
    bank, queries = clusters(300, spread=0.6), clusters(300, spread=0.6, seed=1)
    few = LinearProbe(labels_per_class=2, num_draws=4)
    result = few(bank, queries)
    assert set(result) == {'linear2_top1', 'linear2_top5'}
    assert few(bank, queries) == result
    assert result['linear2_top1'] < LinearProbe()(bank, queries)['linear_top1']


def test_penalty_is_chosen_on_held_out_training_images() -> None:
    generator = torch.Generator().manual_seed(0)
    bank, queries = (
        Features(torch.cat([data.vectors, torch.randn(90, 50, generator=generator)], 1), data.labels, data.indices)
        for data in (clusters(90, spread=0.2), clusters(90, spread=0.2, seed=1))
    )
    good, bad = (LinearProbe(penalty=penalty)(bank, queries) for penalty in (1.0, 1e3))
    assert good['linear_top1'] > bad['linear_top1']
    assert LinearProbe(penalty=[1e3, 1.0])(bank, queries) == good


def test_too_few_images_to_choose_a_penalty_are_refused() -> None:
    probe = LinearProbe(penalty=[1.0, 10.0], labels_per_class=1, num_draws=1)
    with pytest.raises(ValueError, match='3 labelled training images are too few to hold out a fifth'):
        probe(clusters(30), clusters(30, seed=1))


def test_probe_works_inside_no_grad_and_leaves_features_alone() -> None:
    bank = clusters(60)
    before = bank.vectors.clone()
    with torch.no_grad():
        LinearProbe()(bank, bank)
    assert torch.equal(bank.vectors, before) and not bank.vectors.requires_grad


def test_ids_with_gaps_are_classes_like_others() -> None:
    vectors = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(60) % 3
    rows = torch.arange(60)
    gaps = torch.tensor([5, 10**9, 10**12])[labels]  # a matrix of 10**12 classes would not end
    plain, sparse = Features(vectors, labels, rows), Features(vectors, gaps, rows)
    for metric in (LinearProbe(), LinearProbe(labels_per_class=4, num_draws=2), LinearSweep(epochs=2, num_seeds=1)):
        assert metric(sparse, sparse) == metric(plain, plain)


@pytest.mark.parametrize(
    'arguments',
    [dict(penalty=-1.0), dict(penalty=[1.0, math.nan]), dict(penalty=[]), dict(labels_per_class=0), dict(num_draws=0)],
)
def test_settings_without_a_meaning_are_refused(arguments: dict) -> None:
    with pytest.raises(ValueError, match='must be'):
        LinearProbe(**arguments)


@pytest.mark.parametrize('arguments', [dict(), dict(labels_per_class=1, num_draws=2)])
def test_one_training_image_is_a_classifier(arguments: dict) -> None:
    vectors = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    bank = Features(vectors[:1], torch.tensor([2]), torch.arange(1))
    queries = Features(vectors[1:], torch.tensor([2, 2, 5]), torch.arange(3))
    assert LinearProbe(**arguments)(bank, queries).popitem()[1] == pytest.approx(200 / 3)

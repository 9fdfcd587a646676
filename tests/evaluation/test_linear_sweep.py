"""Many classifiers at once: each is SGD's, the held-out images choose, the evaluated ones never."""

from __future__ import annotations

import math
from statistics import fmean, stdev

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmssl.evaluation.embedding_evaluator import EmbeddingEvaluator
from mmssl.evaluation.extract import Features
from mmssl.evaluation.linear_sweep import LinearSweep, Scaler, classifier_accuracies, train_classifiers


def clusters(count: int, seed: int = 0, spread: float = 0.6) -> Features:
    """Four Gaussian clusters in twelve dimensions of very different scales."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    vectors = torch.eye(4, 12)[labels] + spread * torch.randn(count, 12, generator=generator)
    return Features(vectors * torch.logspace(-2, 2, 12) + 3, labels, torch.arange(count))


def one_by_one(vectors: Tensor, labels: Tensor, lr: float, decay: float, batches: list[Tensor], total: int) -> Tensor:
    """The classifier that torch's optimizer and autograd make."""
    layer = nn.Linear(vectors.shape[1], 4).double()
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(layer.parameters(), lr=lr, momentum=0.9, weight_decay=decay)
    for step, rows in enumerate(batches):
        optimizer.param_groups[0]['lr'] = lr * len(rows) / 256 * (1 + math.cos(math.pi * step / total)) / 2
        optimizer.zero_grad()
        F.cross_entropy(layer(vectors[rows]), labels[rows]).backward()
        optimizer.step()
    return torch.cat([layer.weight.T, layer.bias[None]])


@pytest.mark.parametrize('epochs', [3, 1.5])
def test_each_classifier_is_that_of_sgd_alone(epochs):
    data = clusters(70)
    vectors = Scaler(data.vectors, torch.arange(70), 'standardized')(data.vectors).double()
    lrs, decays = [0.1, 1.0, 3.0], [0.0, 0.1, 0.01]
    generator = torch.Generator().manual_seed(1)
    found = train_classifiers(
        vectors,
        data.labels,
        num_classes=4,
        lrs=lrs,
        weight_decays=decays,
        epochs=epochs,
        batch_size=16,
        generator=generator,
    )
    generator.manual_seed(1)
    batches = [rows for _ in range(3) for rows in torch.randperm(70, generator=generator)[:64].split(16)]
    batches = batches[: round(4 * epochs)]
    for weights, lr, decay in zip(found.unbind(1), lrs, decays):
        expected = one_by_one(vectors, data.labels, lr, decay, batches, total=len(batches))
        torch.testing.assert_close(weights, expected.detach(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize('head', ['standardized', 'scaled', 'unit'])
def test_scales(head):
    vectors = clusters(5000).vectors
    rows = torch.arange(0, 5000, 2)
    scaled = Scaler(vectors, rows, head)(vectors)
    if head == 'standardized':
        torch.testing.assert_close(scaled[rows].mean(0), torch.zeros(12), rtol=0, atol=1e-4)
        torch.testing.assert_close(scaled[rows].std(0), torch.ones(12), rtol=1e-3, atol=0)
    elif head == 'unit':
        torch.testing.assert_close(scaled.norm(dim=1), torch.full((5000,), 12**0.5))
    else:
        ratio = scaled / vectors
        torch.testing.assert_close(ratio, ratio[0, 0].expand_as(ratio))
        torch.testing.assert_close(scaled[rows].square().mean(), torch.tensor(1.0))


def test_accuracies_of_several_classifiers():
    data = Features(torch.eye(3), torch.tensor([0, 1, 2]), torch.arange(3))
    right, shifted = torch.eye(3), torch.eye(3).roll(1, 0)
    weights = torch.stack([torch.cat([w, torch.zeros(1, 3)]) for w in (right, shifted, right * torch.nan)], dim=1)
    assert classifier_accuracies(weights, data)[:2] == [100.0, 0.0]
    assert classifier_accuracies(weights, data, num_best=3) == [100.0] * 3
    assert classifier_accuracies(weights, data, rows=torch.tensor([2]))[0] == 100.0


def test_a_setting_that_diverges_is_not_chosen_and_units_do_not_matter():
    bank, queries = clusters(600), clusters(400, seed=1)
    sweep = LinearSweep(lrs=(0.1,), weight_decays=(1e4, 0.0), epochs=10, batch_size=64)
    result = sweep.run(bank, queries)
    assert [chosen.weight_decay for chosen in result.chosen] == [0.0] * 3
    diverged, other = result.candidates
    assert fmean(other.held_out) > 60 and fmean(diverged.held_out) == pytest.approx(25, abs=5)  # one class for all
    assert len(diverged.held_out) == 3
    scaled = [Features(data.vectors * 1000, data.labels, data.indices) for data in (bank, queries)]
    assert sweep(*scaled) == pytest.approx(sweep(bank, queries), abs=0.5)


def test_summary_is_mean_and_spread_over_seeds():
    bank, queries = clusters(200), clusters(100, seed=1)
    sweep = LinearSweep(lrs=(0.03, 0.3), weight_decays=(0.0, 1e-3), epochs=5, batch_size=32, num_seeds=4)
    result, summary = sweep.run(bank, queries), sweep(bank, queries)
    assert len(result.top1) == 4 and len(set(result.top1)) > 1
    assert summary['sweep_top1'] == fmean(result.top1) and summary['sweep_top1_std'] == stdev(result.top1)
    assert summary['sweep_top5'] == 100.0
    one = LinearSweep(lrs=(0.3,), num_seeds=1, epochs=5)(bank, queries)
    assert one['sweep_top1_std'] == 0.0


def test_evaluated_images_choose_nothing():
    """With other evaluated images the same settings are chosen; with other labels of theirs, too."""
    bank, queries = clusters(300, spread=1.5), clusters(100, seed=1, spread=1.5)
    sweep = LinearSweep(lrs=(1e-3, 0.03, 0.3, 3.0), heads=('standardized', 'scaled', 'unit'), epochs=5, batch_size=32)
    wrong = Features(queries.vectors, (queries.labels + 1) % 4, queries.indices)
    settings = [
        [(chosen.head, chosen.lr, chosen.weight_decay) for chosen in sweep.run(bank, test).chosen]
        for test in (queries, wrong, clusters(50, seed=2))
    ]
    assert settings[0] == settings[1] == settings[2]


def test_images_of_all_classes_are_held_out_of_a_set_in_the_order_of_its_classes():
    bank = clusters(600)
    bank = bank.select(bank.labels.argsort(stable=True))
    result = LinearSweep(lrs=(0.1,), weight_decays=(0.0,), epochs=10, batch_size=64, held_out=0.25).run(bank, bank)
    assert min(result.candidates[0].held_out) > 60  # 0 if the first class were held out


def test_each_seed_takes_the_best_setting_on_its_own_held_out_images():
    bank = clusters(120, spread=1.5)
    result = LinearSweep(lrs=(1e-3, 0.03, 0.3, 3.0), epochs=5, batch_size=32).run(bank, clusters(40, seed=1))
    for seed, chosen in enumerate(result.chosen):
        assert chosen.held_out[seed] == max(candidate.held_out[seed] for candidate in result.candidates)
    assert len({(chosen.lr, chosen.weight_decay) for chosen in result.chosen}) > 1


def test_held_out_images_are_not_trained_on():
    """Labels without a pattern: whoever had trained on the held-out images would know them."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (80,), generator=generator)
    noise = Features(torch.randn(80, 200, generator=generator), labels, torch.arange(80))
    result = LinearSweep(lrs=(1.0,), weight_decays=(0.0,), held_out=0.5, num_seeds=5).run(noise, noise)
    assert fmean(result.candidates[0].held_out) < 40  # chance is 25
    assert min(result.top1) == 100  # trained again on all, which it is evaluated on here


def test_beside_other_metrics():
    metrics = [dict(type='LinearSweep', lrs=(0.1,), epochs=2), dict(type='WeightedKNN', k=3)]
    results = EmbeddingEvaluator(metrics, device='cpu').evaluate(clusters(80), clusters(40, seed=1))
    assert set(results) == {'sweep_top1', 'sweep_top1_std', 'sweep_top5', 'knn_top1', 'knn_top5'}


def test_arguments():
    for wrong in (dict(lrs=()), dict(heads=()), dict(num_seeds=0), dict(held_out=1.0)):
        with pytest.raises(ValueError, match='at least one entry'):
            LinearSweep(**wrong)
    with pytest.raises(ValueError, match="'whitened'"):
        LinearSweep(heads=('whitened',), epochs=1)(clusters(40), clusters(8))
    with pytest.raises(ValueError, match='5 labelled training images are too few'):
        LinearSweep()(clusters(5), clusters(8))
    with pytest.raises(ValueError, match='as many learning rates'):
        train_classifiers(torch.ones(4, 2), torch.zeros(4).long(), num_classes=2, lrs=[1.0], weight_decays=[])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(heads=('standardized', 'plain')), "got 'plain'"),
        (dict(heads='unit'), "got 'u'"),
        (dict(lrs=(0.1, math.nan)), 'finite'),
        (dict(weight_decays=(math.inf,)), 'finite'),
        (dict(epochs=math.nan), 'finite'),
    ],
)
def test_settings_are_checked_before_features_are_extracted(arguments, message):
    with pytest.raises(ValueError, match=message):
        LinearSweep(**arguments)


def test_features_that_are_not_finite_are_refused() -> None:
    bank, queries = clusters(40), clusters(8, seed=1)
    queries.vectors[3, 2] = math.nan  # logits of 0 would find class 0
    with pytest.raises(ValueError, match='1 of 8 embeddings of the queries are NaN or infinite'):
        LinearSweep(epochs=1).run(bank, queries)

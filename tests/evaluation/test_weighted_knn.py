"""Weighted kNN: closed-form votes and the invariances of cosine similarity."""

import math

import pytest
import torch

from mmssl.evaluation.accuracy import top_accuracy
from mmssl.evaluation.extract import Features
from mmssl.evaluation.weighted_knn import WeightedKNN, class_similarities, nearest_neighbours

BANK = torch.tensor([[1, 0], [0.9, 0.436], [0, 1], [0.05, 0.999], [0.1, 0.995]], dtype=torch.float64)
BANK_LABELS = torch.tensor([0, 0, 1, 1, 1])
QUERY = torch.tensor([[math.cos(0.6), math.sin(0.6)]], dtype=torch.float64)


def features(vectors: torch.Tensor, labels: torch.Tensor) -> Features:
    return Features(vectors, labels, torch.arange(len(labels)))


def votes_of(queries: torch.Tensor, bank: torch.Tensor, k: int, num_classes: int) -> torch.Tensor:
    """Votes (N, C) at the temperature 0.07."""
    similarities, rows = nearest_neighbours(queries, bank, k)
    scores = class_similarities(similarities, BANK_LABELS[rows], temperature=0.07, num_classes=num_classes)
    return (scores / 0.07).exp()


def test_near_neighbours_outvote_a_majority() -> None:
    votes = votes_of(QUERY, BANK, k=5, num_classes=2)
    unit = BANK / BANK.norm(dim=1, keepdim=True)
    by_hand = torch.exp(unit @ QUERY[0] / 0.07)
    expected = torch.stack([by_hand[:2].sum(), by_hand[2:].sum()])
    torch.testing.assert_close(votes[0], expected, rtol=1e-12, atol=0)
    assert votes[0, 0].item() == pytest.approx(1.498e6, rel=1e-3)
    assert votes[0, 1].item() == pytest.approx(1.88e4, rel=1e-2)


def test_one_neighbour_gives_its_label_alone() -> None:
    votes = votes_of(BANK, BANK, k=1, num_classes=3)
    assert votes.argmax(1).tolist() == BANK_LABELS.tolist()
    assert (votes > 0).sum(1).tolist() == [1] * 5
    torch.testing.assert_close(votes.max(1).values, torch.full((5,), math.exp(1 / 0.07), dtype=torch.float64))


def test_scale_of_features_does_not_matter() -> None:
    scale = torch.tensor([0.1, 3.0, 1.0, 20.0, 0.5], dtype=torch.float64)[:, None]
    torch.testing.assert_close(
        votes_of(QUERY * 7, BANK * scale, k=4, num_classes=2), votes_of(QUERY, BANK, k=4, num_classes=2)
    )


def test_chunks_do_not_matter_and_k_is_capped_by_the_bank() -> None:
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(11, 4, generator=generator, dtype=torch.float64)
    bank = torch.randn(7, 4, generator=generator, dtype=torch.float64)
    whole = nearest_neighbours(queries, bank, k=20)
    chunked = nearest_neighbours(queries, bank, k=20, chunk_size=3)
    assert whole[1].shape == (11, 7)
    torch.testing.assert_close(whole[0], chunked[0])
    assert torch.equal(whole[1], chunked[1])


def test_k_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match='at least 1, got 0'):
        nearest_neighbours(QUERY, BANK, k=0)


def test_top_accuracy_counts_the_best_classes_in_per_cent() -> None:
    scores = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    labels = torch.tensor([0, 1, 2, 2])
    assert [top_accuracy(scores, labels, best) for best in (1, 2, 9)] == [50.0, 75.0, 100.0]


def test_metric_names_the_first_k_plainly_and_ignores_unlabelled_images() -> None:
    bank = features(torch.cat([BANK, QUERY]).float(), torch.cat([BANK_LABELS, torch.tensor([-1])]))
    queries = features(torch.cat([QUERY, BANK[2:3]]).float(), torch.tensor([0, 1]))
    results = WeightedKNN(k=[5, 1])(bank, queries)
    assert results == dict(knn_top1=100.0, knn_top5=100.0, knn_top1_k1=100.0, knn_top5_k1=100.0)


def test_each_k_counts_its_own_neighbours() -> None:
    bank, queries = features(BANK.float(), torch.tensor([0, 1, 1, 1, 1])), features(BANK[:1].float(), torch.tensor([0]))
    results = WeightedKNN(k=[1, 5], temperature=10.0)(bank, queries)  # nearly a majority vote
    assert (results['knn_top1'], results['knn_top1_k5']) == (100.0, 0.0)
    results = WeightedKNN(k=[5, 1], temperature=10.0)(bank, queries)
    assert (results['knn_top1'], results['knn_top1_k1']) == (0.0, 100.0)


def test_settings_of_dino() -> None:
    metric = WeightedKNN()
    assert (metric.k, metric.temperature) == ([20], 0.07)


def test_no_labels_at_all_is_explained() -> None:
    unlabelled = features(BANK.float(), torch.full((5,), -1))
    with pytest.raises(ValueError, match='none of the 5 images has a label'):
        WeightedKNN()(unlabelled, unlabelled)


@pytest.mark.parametrize('temperature', [1e-30, 0.01, 0.07, 1e30])
def test_every_temperature_gives_the_right_class_in_float32(temperature: float) -> None:
    bank, queries = features(BANK.float(), BANK_LABELS), features(BANK.float(), BANK_LABELS)
    assert WeightedKNN(k=1, temperature=temperature)(bank, queries)['knn_top1'] == 100
    near = class_similarities(
        torch.tensor([[0.9, 0.8, 0.8]]), torch.tensor([[0, 1, 1]]), temperature=temperature, num_classes=3
    )[0]
    # One neighbour at 0.9 against two at 0.8: the two win where 2 exp(-0.1 / T) > 1, which is T > 0.144.
    assert near.isfinite().tolist() == [True, True, False]
    assert bool(near[1] > near[0]) == (temperature > 0.144)


def test_ids_with_gaps_are_classes_like_others() -> None:
    gaps = torch.tensor([7, 7, 10**12, 10**12, 10**12])
    plain = WeightedKNN(k=2)(features(BANK, BANK_LABELS), features(BANK.flip(0), BANK_LABELS.flip(0)))
    assert WeightedKNN(k=2)(features(BANK, gaps), features(BANK.flip(0), gaps.flip(0))) == plain
    unknown = features(BANK, torch.tensor([7, 7, 8, 10**13, 10**12]))
    assert WeightedKNN(k=1)(features(BANK, gaps), unknown)['knn_top1'] == pytest.approx(60)


@pytest.mark.parametrize('arguments', [dict(temperature=0.0), dict(temperature=-1.0), dict(k=0), dict(k=[])])
def test_settings_without_a_meaning_are_refused(arguments: dict) -> None:
    with pytest.raises(ValueError, match='DINO uses'):
        WeightedKNN(**arguments)

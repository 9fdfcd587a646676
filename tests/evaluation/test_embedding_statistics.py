"""Embedding statistics: closed-form values and the warnings that name a collapse."""

import logging
import math

import pytest
import torch
from mmengine.logging import MMLogger

from mmssl.evaluation.embedding_statistics import EmbeddingStatistics, alignment, feature_std, rankme, uniformity
from mmssl.evaluation.extract import Features


def features(vectors: torch.Tensor, labels: torch.Tensor | None = None) -> Features:
    count = len(vectors)
    return Features(vectors, torch.full((count,), -1) if labels is None else labels, torch.arange(count))


def test_std_of_one_point_and_of_the_axes() -> None:
    assert feature_std(torch.ones(5, 3)).tolist() == [0, 0, 0]
    # each of four dimensions is 1, -1 or 0 with frequencies 1/8, 1/8, 6/8: variance 1/4 = 1 / D
    axes = torch.cat([torch.eye(4), -torch.eye(4)]) * torch.arange(1, 9)[:, None]
    torch.testing.assert_close(feature_std(axes), torch.full((4,), 0.5))


def test_rankme_counts_equal_directions() -> None:
    orthogonal = torch.eye(6)[:, :4] * 3
    assert rankme(orthogonal).item() == pytest.approx(4, rel=1e-4)
    assert rankme(torch.outer(torch.arange(1.0, 9), torch.ones(5))).item() == pytest.approx(1, rel=1e-4)
    # singular values 3 and 1: entropy of (3/4, 1/4)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert rankme(torch.diag(torch.tensor([3.0, 1.0]))).item() == pytest.approx(math.exp(entropy), rel=1e-5)


def test_rankme_does_not_change_under_scale_rotation_and_transposition() -> None:
    vectors = torch.randn(40, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0]
    for changed in (vectors * 17, vectors @ rotation, vectors.T):
        torch.testing.assert_close(rankme(changed), rankme(vectors))


def test_alignment_is_the_mean_over_pairs_of_a_class() -> None:
    vectors = torch.tensor([[1.0, 0], [0, 2], [-3, 0], [5, 0], [5, 0]])
    labels = torch.tensor([0, 0, 0, 1, 1])
    # class 0: squared distances 2, 4 and 2; class 1: 0
    assert alignment(vectors, labels).item() == pytest.approx((2 + 4 + 2 + 0) / 4)


def test_alignment_without_pairs_is_undefined() -> None:
    assert alignment(torch.eye(3), torch.arange(3)).isnan()


def test_uniformity_in_closed_form_and_independent_of_chunks() -> None:
    assert uniformity(torch.ones(7, 3)).item() == pytest.approx(0, abs=1e-9)
    assert uniformity(torch.tensor([[1.0, 0], [-2, 0]])).item() == pytest.approx(-8)  # squared distance 4, t = 2
    vectors = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(uniformity(vectors, chunk_size=3), uniformity(vectors))


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    MMLogger.get_current_instance().addHandler(caplog.handler)
    yield caplog
    MMLogger.get_current_instance().removeHandler(caplog.handler)


def test_healthy_embeddings_give_no_warning(warnings: pytest.LogCaptureFixture) -> None:
    vectors = torch.randn(200, 16, generator=torch.Generator().manual_seed(0))
    results = EmbeddingStatistics()(features(vectors), features(vectors))
    assert set(results) == {'embedding_std', 'rankme', 'uniformity'}
    assert results['embedding_std'] == pytest.approx(1, abs=0.05)
    assert not warnings.records


def test_complete_collapse_is_named(warnings: pytest.LogCaptureFixture) -> None:
    vectors = torch.ones(50, 16) + 1e-4 * torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
    EmbeddingStatistics()(features(vectors), features(vectors))
    (record,) = warnings.records
    assert record.levelno == logging.WARNING
    assert 'complete collapse' in record.message and 'stop-gradient' in record.message


def test_dimensional_collapse_is_named(warnings: pytest.LogCaptureFixture) -> None:
    line = torch.randn(50, 1, generator=torch.Generator().manual_seed(0)) @ torch.ones(1, 16)
    EmbeddingStatistics()(features(line), features(line))
    (record,) = warnings.records
    assert 'dimensional collapse' in record.message and 'projector' in record.message


@pytest.mark.parametrize(
    ('count', 'directions', 'message'),
    [(200, 5, None), (200, 3, 'fill 3.0 of 200 dimensions (rankme < 4.0)'), (20, 3, None), (20, 1, '(rankme < 1.5)')],
)
def test_a_rank_is_low_below_a_fiftieth_of_the_possible_one(
    warnings: pytest.LogCaptureFixture, count: int, directions: int, message: str | None
) -> None:
    axes = torch.eye(200)[torch.arange(count) % directions] * (1 - 2 * (torch.arange(count) // directions % 2))[:, None]
    EmbeddingStatistics()(features(axes), features(axes))
    assert [message in record.message for record in warnings.records] == ([] if message is None else [True])


def test_a_small_spread_is_no_collapse_yet(warnings: pytest.LogCaptureFixture) -> None:
    vectors = torch.ones(50, 16) + 0.05 * torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
    results = EmbeddingStatistics()(features(vectors), features(vectors))
    assert 0.04 < results['embedding_std'] < 0.06 and not warnings.records


def test_the_rank_is_that_of_vectors_of_their_own_lengths() -> None:
    vectors = torch.randn(40, 8, generator=torch.Generator().manual_seed(0)) * torch.logspace(0, 2, 40)[:, None]
    results = EmbeddingStatistics()(features(vectors), features(vectors))
    assert results['rankme'] == pytest.approx(rankme(vectors).item())


def test_labels_add_alignment_and_large_sets_are_sampled_evenly() -> None:
    vectors = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    data = features(vectors, torch.arange(100) // 50)
    whole = EmbeddingStatistics()(data, data)
    assert whole['alignment'] == pytest.approx(alignment(vectors, data.labels).item())
    two = EmbeddingStatistics(max_samples=2)(data, data)
    assert two['uniformity'] == pytest.approx(uniformity(vectors[[0, 99]]).item())


@pytest.mark.parametrize('count', [2, 10, 300])
def test_zeros_are_a_single_point(count: int) -> None:
    zeros = torch.zeros(count, 6)
    assert uniformity(zeros).item() == pytest.approx(0, abs=1e-9)
    assert alignment(zeros, torch.zeros(count, dtype=torch.int64)).item() == 0


def test_alignment_without_pairs_is_never_infinite() -> None:
    generator = torch.Generator().manual_seed(0)
    for count in range(2, 60):
        assert alignment(torch.randn(count, 5, generator=generator), torch.randperm(count, generator=generator)).isnan()

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmssl.clustering.labels import KMeansLabeller, TransportLabeller


def test_whitening_that_cannot_work_is_refused_before_features_are_extracted():
    for whiten in (0, -1):
        with pytest.raises(ValueError, match=f'must be positive, got 1 and {whiten}'):
            KMeansLabeller(2, whiten=whiten)
    labeller = KMeansLabeller(2, whiten=9, backend='torch')
    assert KMeansLabeller(2).has_centroids and not labeller.has_centroids  # whitened ones lie in another space
    labeller.check(10)
    labeller.label(np.random.default_rng(0).normal(size=(10, 12)).astype(np.float32), seed=0)
    with pytest.raises(ValueError, match='9 images do not have 9 principal components: lower whiten'):
        labeller.check(9)
    with pytest.raises(ValueError, match='1 images cannot make 2 clusters'):
        labeller.check(1)


def test_a_seed_is_refused_before_features_are_extracted():
    with pytest.raises(ValueError, match='follow the seed of the run'):
        KMeansLabeller(2, seed=1, backend='torch')


def test_heads_cluster_the_crops_in_turn_and_the_objective_is_that_of_an_image():
    halves = np.array([-1, 1, -1, 1, 9, 11, 9, 11], np.float32)
    odd = np.array([-1, 9, 1, 11, -1, 9, 1, 11], np.float32)
    found = KMeansLabeller(2, num_heads=3, num_crops=2, backend='torch').label(np.stack([halves, odd], axis=1), seed=0)
    for labels, values in zip(found.labels, (halves, odd, halves)):
        assert (labels == labels[0]).tolist() == ((values > 5) == (values[0] > 5)).tolist()
    assert found.centroids.shape == (3, 2, 1) and sorted(found.centroids[1].ravel()) == [0, 10]
    assert found.numbers == dict(kmeans_objective=1.0)


def test_each_head_starts_from_its_own_centroids():
    features = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    first, again, other = (
        KMeansLabeller(5, num_heads=2, num_iterations=1, backend='torch').label(features, seed).labels
        for seed in (0, 0, 1)
    )
    assert (first == again).all() and (first != other).any() and (first[0] != first[1]).any()


def test_a_lower_tolerance_takes_more_iterations():
    logits = 3 * torch.randn(50, 4)
    iterations = [
        TransportLabeller(4, tolerance=tolerance, device='cpu').label(
            np.zeros((50, 1), np.float32), 0, lambda x, _: logits
        )
        for tolerance in (10.0, 1e-3)
    ]
    loose, strict = (found.numbers['sinkhorn_iterations'] for found in iterations)
    assert loose < strict

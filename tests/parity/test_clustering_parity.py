"""Clustering against the official codes of DeepCluster and SeLa."""

from __future__ import annotations

import numpy as np
import pytest

from mmssl.clustering.kmeans import KMeans, assign
from tests.parity.golden import Golden, summary


@pytest.fixture(scope='module')
def kmeans_case(goldens_dir):
    """The recording with its two point sets, float64 values that float32 holds, as the official code was given them."""
    golden = Golden(goldens_dir, 'deepcluster_kmeans')
    inputs = {name: value.numpy() for name, value in golden.inputs().items()}
    count, dim = inputs['points'].shape
    blob = (7 * np.arange(count) % count) % 4
    separated = 4 * np.eye(dim)[blob] + 0.1 * np.sqrt(dim) * inputs['points']
    overlapping = 1.4 * np.eye(dim)[blob] + 0.55 * np.sqrt(dim) * inputs['points2']
    return golden, *(points.astype(np.float32).astype(np.float64) for points in (separated, overlapping))


@pytest.mark.parametrize('backend', ['faiss', 'torch'])
def test_kmeans_finds_the_blobs_as_often_as_the_official_code(kmeans_case, backend):
    golden, points, _ = kmeans_case
    points = points.astype(np.float32)
    expected = golden.record['literals_out']['labels_A_canonical']
    successes = 0
    for seed in range(60):
        kmeans = KMeans(4, seed=seed, backend=backend)
        labels, _ = assign(points, kmeans.fit(points), backend=backend)
        if canonical(labels) == expected:
            successes += 1
            assert kmeans.objectives[-1] == pytest.approx(golden.record['losses']['objective_official_A'], rel=2e-5)
    official = golden.record['literals_out']['official_success_of_60_seeds']
    assert abs(successes - official) < 4 * np.sqrt(60 * 0.25)


def test_lloyd_steps_from_given_centroids(kmeans_case):
    golden, separated, points = kmeans_case
    kmeans = KMeans(4, backend='torch')
    centroids = kmeans.fit(points, points[:4])
    labels, distances = assign(points, centroids, backend='torch')
    expected = golden.record['literals_out']
    assert labels.tolist() == expected['lloyd_labels']
    np.testing.assert_allclose(centroids, expected['lloyd_centroids'], rtol=1e-8, atol=1e-9)
    objectives = expected['lloyd_objective']
    np.testing.assert_allclose(kmeans.objectives, objectives[: len(kmeans.objectives)], rtol=1e-8)
    assert set(objectives[len(kmeans.objectives) :]) == {objectives[-1]}  # ours stops when nothing changes
    outputs = {'x': summary(separated), 'z': summary(points), 'lloyd_centroids': summary(centroids)}
    golden.check({'outputs': outputs}, ['outputs'])
    assert distances.sum() == pytest.approx(golden.record['losses']['lloyd_final_inertia'], rel=1e-8)


def test_lloyd_steps_of_faiss(kmeans_case):
    golden, _, points = kmeans_case
    points = points.astype(np.float32)
    kmeans = KMeans(4, backend='faiss')
    labels, _ = assign(points, kmeans.fit(points, points[:4]), backend='faiss')
    assert labels.tolist() == golden.record['literals_out']['lloyd_labels']
    np.testing.assert_allclose(
        kmeans.objectives, golden.record['literals_out']['lloyd_objective_faiss_float32'], rtol=1e-6
    )


def canonical(labels: np.ndarray) -> list[int]:
    """Labels renumbered by their first occurrence."""
    names: dict[int, int] = {}
    return [names.setdefault(label, len(names)) for label in labels.tolist()]


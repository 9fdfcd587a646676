from __future__ import annotations

import numpy as np
import pytest

from mmssl.clustering import backend as backends
from mmssl.clustering import kmeans as module
from mmssl.clustering.kmeans import KMeans, assign, split_empty_clusters

BACKENDS = ['faiss', 'torch']


def blobs(count: int = 300, dim: int = 6, seed: int = 0) -> np.ndarray:
    """Overlapping groups of points, float32 (N, D)."""
    rng = np.random.default_rng(seed)
    return (2 * np.eye(dim)[rng.integers(dim, size=count)] + rng.normal(size=(count, dim))).astype(np.float32)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize('backend', BACKENDS)
def test_an_update_is_the_mean_of_the_nearest_rows(backend):
    features, initial = blobs(), blobs(5, seed=1)
    nearest = np.square(features[:, None] - initial).sum(2).argmin(1)
    kmeans = KMeans(5, num_iterations=1, backend=backend)
    centroids = kmeans.fit(features, initial)
    np.testing.assert_allclose(centroids, [features[nearest == k].mean(0) for k in range(5)], rtol=1e-5)
    assert kmeans.objectives[0] == pytest.approx(np.square(features - initial[nearest]).sum(), rel=1e-5)
    labels, distances = assign(features, centroids, backend=backend)
    squares = np.square(features[:, None] - centroids).sum(2)
    assert (labels == squares.argmin(1)).all()
    np.testing.assert_allclose(distances, squares.min(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('spherical', [False, True])
def test_both_backends_equal_faiss(spherical):
    faiss = pytest.importorskip('faiss')
    features = unit(blobs())
    options = faiss.ClusteringParameters()
    options.niter, options.spherical = 7, spherical
    reference = faiss.Clustering(6, 8, options)
    faiss.copy_array_to_vector(features[:8].ravel(), reference.centroids)
    reference.train(features, faiss.IndexFlatIP(6) if spherical else faiss.IndexFlatL2(6))
    expected = faiss.vector_to_array(reference.centroids).reshape(8, 6)
    for backend in BACKENDS:
        kmeans = KMeans(8, num_iterations=7, spherical=spherical, backend=backend)
        np.testing.assert_allclose(kmeans.fit(features, features[:8]), expected, atol=2e-6)
        assert len(kmeans.objectives) == reference.iteration_stats.size()
    if spherical:
        np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-5)


def test_empty_clusters_are_split_as_faiss_does():
    pytest.importorskip('faiss')
    features = np.repeat(blobs(30), 5, axis=0)
    initial = features[np.random.default_rng(0).choice(len(features), 60, replace=False)]
    split, plain = (
        KMeans(60, num_iterations=1, backend=b, empty_clusters=e).fit(features, initial)
        for b, e in (('faiss', 'split'), ('torch', 'keep'))
    )
    sizes = np.bincount(assign(features, initial, backend='torch')[0], minlength=60)
    assert (plain[sizes == 0] == initial[sizes == 0]).all()
    assert split_empty_clusters(plain, sizes.tolist()) == (sizes == 0).sum() > 5
    np.testing.assert_allclose(plain, split, rtol=1e-5, atol=1e-6)


def test_features_far_from_the_origin_have_their_clusters():
    features, initial = blobs() + np.float32(1e4), blobs(5, seed=1) + np.float32(1e4)
    squares = np.square(features[:, None].astype(np.float64) - initial).sum(2)
    labels, distances = assign(features, initial, backend='torch')
    assert (labels == squares.argmin(1)).all()
    np.testing.assert_allclose(distances, squares.min(1), rtol=1e-4)
    kmeans = KMeans(5, num_iterations=1, backend='torch')
    kmeans.fit(features, initial)
    assert kmeans.objectives[0] == pytest.approx(squares.min(1).sum(), rel=1e-5)


@pytest.mark.parametrize('backend', BACKENDS)
def test_a_degenerate_set_gives_labels_of_some_clusters(backend):
    features = np.repeat(blobs(4), 25, axis=0)
    labels, distances = assign(features, KMeans(16, backend=backend).fit(features), backend=backend)
    assert len(set(labels)) >= 4 and labels.max() < 16 and distances.max() < 1e-3


@pytest.mark.parametrize('backend', BACKENDS)
def test_a_memory_mapped_file_is_clustered_chunk_by_chunk(backend, tmp_path, monkeypatch):
    features = blobs()
    np.save(tmp_path / 'features.npy', features)
    mapped = np.load(tmp_path / 'features.npy', mmap_mode='r')
    expected = KMeans(7, seed=3, backend=backend).fit(features)
    monkeypatch.setattr(module, 'chunk_rows', lambda columns: 41)
    centroids = KMeans(7, seed=3, backend=backend).fit(mapped)
    np.testing.assert_allclose(centroids, expected, atol=1e-5)
    assert (assign(mapped, centroids, backend=backend)[0] == assign(features, expected, backend=backend)[0]).all()


def test_the_seed_chooses_initial_rows_and_the_subsample():
    features = blobs()
    first, again, other = (KMeans(4, num_iterations=1, seed=s, max_points_per_centroid=9) for s in (0, 0, 1))
    assert (first.fit(features) == again.fit(features)).all()
    assert not (first.fit(features) == other.fit(features)).all()
    every_row = KMeans(4, num_iterations=1).fit(features, features[:4])
    some_rows = KMeans(4, num_iterations=1, max_points_per_centroid=9).fit(features, features[:4])
    assert not np.allclose(every_row, some_rows)


def test_without_faiss_torch_computes(monkeypatch):
    monkeypatch.setattr(backends, 'find_spec', lambda name: None)
    assert KMeans(4).backend == 'torch'
    with pytest.raises(ValueError, match='pip install faiss-cpu'):
        KMeans(4, backend='faiss')


@pytest.mark.parametrize(
    ('arguments', 'features', 'message'),
    [
        (dict(num_clusters=0), blobs(), 'must be positive'),
        (dict(num_clusters=4, backend='jax'), blobs(), 'backend must be one of'),
        (dict(num_clusters=4, empty_clusters='drop'), blobs(), "'split' or 'keep'"),
        (dict(num_clusters=400), blobs(), '300 rows cannot make 400 clusters'),
        (dict(num_clusters=4, backend='faiss'), blobs().astype(np.float64), r'float32, got \(300, 6\) float64'),
        (dict(num_clusters=4, backend='torch'), blobs() * np.float32(np.inf), 'not finite'),
    ],
)
def test_mistakes(arguments, features, message):
    with pytest.raises(ValueError, match=message):
        KMeans(**arguments).fit(features)


@pytest.mark.parametrize('backend', BACKENDS)
def test_features_whose_distances_overflow_say_so(backend):
    features = blobs()
    features[7] = 1e19
    for call in (
        lambda: KMeans(4, backend=backend).fit(features),
        lambda: assign(features, blobs()[:4], backend=backend),
    ):
        with pytest.raises(ValueError, match='features of row 7 are so large that their squared distances overflow'):
            call()
    for call in (KMeans(1, backend=backend).fit, lambda rows, means: assign(rows, means, backend=backend)):
        with pytest.raises(ValueError, match='too large for distances'):
            call(blobs(), np.full((1, blobs().shape[1]), 1e30))
    if backend == 'torch':
        assert np.isfinite(KMeans(4, backend=backend).fit(features.astype(np.float64))).all()


@pytest.mark.parametrize('backend', BACKENDS)
def test_features_that_are_not_finite_say_so(backend, monkeypatch):
    monkeypatch.setattr(backends, 'chunk_rows', lambda width: 100)
    features = blobs()
    features[250, 3] = np.nan
    for cluster in (KMeans(4, backend=backend).fit, lambda rows: assign(rows, blobs(4), backend=backend)):
        with pytest.raises(ValueError, match='features of row 250 are not finite'):
            cluster(features)


@pytest.mark.parametrize('backend', BACKENDS)
def test_centroids_that_cannot_be_compared_are_refused(backend):
    features = blobs(20)
    with pytest.raises(ValueError, match='initial centroids hold numbers that are not finite'):
        KMeans(2, backend=backend).fit(features, np.full((2, 6), np.nan))  # faiss would end the process
    with pytest.raises(ValueError, match=r'must be \(K, 6\) with K >= 1, got \(3, 5\)'):
        assign(features, np.zeros((3, 5)), backend=backend)
    with pytest.raises(ValueError, match='with K >= 1'):
        assign(features, np.zeros((0, 6)), backend=backend)
    with pytest.raises(ValueError, match='not finite'):
        assign(features, np.full((3, 6), np.inf), backend=backend)
    for empty in (features[:0], features[:, :0]):
        with pytest.raises(ValueError, match='there are no features to cluster'):
            assign(empty, np.zeros((3, 6)), backend=backend)


def test_no_rows_per_cluster_are_refused():
    with pytest.raises(ValueError, match='got 2, 20 and 0'):
        KMeans(2, max_points_per_centroid=0)

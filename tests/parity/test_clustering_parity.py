"""Clustering against the official codes of DeepCluster and SeLa."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmssl.clustering.kmeans import KMeans, assign
from mmssl.clustering.scores import agreement
from mmssl.clustering.sinkhorn import sinkhorn, transport_labels
from mmssl.clustering.whitening import PCAWhitening
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


def test_whitened_principal_components(goldens_dir):
    golden = Golden(goldens_dir, 'deepcluster_pca_whiten')
    inputs = {name: value.numpy() for name, value in golden.inputs().items()}
    count, width = inputs['features'].shape
    mix = np.linalg.qr(inputs['mix'])[0]
    scaled = np.sqrt(width) * inputs['features'] * (2 * 0.93 ** np.arange(width))
    features = (scaled @ mix + 0.5 + inputs['mean']).astype(np.float32).astype(np.float64)
    dim = golden.record['outputs']['abs_Y']['shape'][1]
    plain = PCAWhitening(dim, unit_length=False).fit(features)
    whitened, unit = plain.transform(features), PCAWhitening(dim).fit(features).transform(features)
    outputs = {
        'X': features,
        'gram': unit @ unit.T,
        'abs_Y': abs(unit),
        'abs_whitened': abs(whitened),
        'scatter_eigenvalues': plain.eigenvalues,
        'whitened_cov_diag_times_N': count * (np.cov(whitened.T, bias=True).diagonal()),
    }
    recorded = golden.record['outputs']
    official = recorded.pop('official_float32_gram')
    golden.check({'outputs': {name: summary(value) for name, value in outputs.items()}}, ['outputs'])
    single = PCAWhitening(dim).fit(features.astype(np.float32)).transform(features.astype(np.float32))
    np.testing.assert_allclose(summary(single @ single.T)['probe'], official['probe'], atol=1e-5)


def test_mutual_information(goldens_dir):
    golden = Golden(goldens_dir, 'deepcluster_nmi')
    for name, (true, predicted) in golden.literals['pairs'].items():
        expected = golden.record['literals_out']['nmi'][name]
        scores = agreement(np.array(predicted), np.array(true))
        assert scores['nmi'] == pytest.approx(expected['geometric'], rel=1e-10, abs=1e-12)
        assert scores['nmi_arithmetic'] == pytest.approx(expected['arithmetic'], rel=1e-10, abs=1e-12)


@pytest.fixture(scope='module')
def sela(goldens_dir):
    """The recording and its log-probabilities (N, K), float64."""
    golden = Golden(goldens_dir, 'sela_sk')
    inputs = golden.inputs()
    width = inputs['logits'].shape[1]
    logits = 2 * np.sqrt(width) * inputs['logits'] + 20 * inputs['class_bias']
    return golden, torch.log_softmax(logits, 1)


def test_equal_clusters_by_optimal_transport(sela):
    golden, log_probabilities = sela
    expected, num_clusters = golden.record['literals_out'], log_probabilities.shape[1]
    outputs, losses = {'posterior': log_probabilities.exp()}, {}
    assert log_probabilities.argmax(1).tolist() == expected['labels_plain_argmax']
    cases = [(25, 0.1, 'imagenet_lamb25'), (10, 0.1, 'imagenet_lamb10'), (10, 0.01, 'cifar_lamb10')]
    for power, tolerance, name in cases:
        transport = sinkhorn(lambda: iter(log_probabilities.split(64)), num_clusters, power=power, tolerance=tolerance)
        labels = transport_labels(lambda: iter(log_probabilities.split(64)), transport, power)
        assert labels.tolist() == expected[f'labels_{name}']
        assert transport.iterations == expected[f'iterations_{name}']
        single = log_probabilities.float()  # stored in float32, as at ImageNet size
        again = sinkhorn(lambda x=single: iter([x]), num_clusters, power=power, tolerance=tolerance)
        assert transport_labels(lambda x=single: iter([x]), again, power).tolist() == labels.tolist()
        matrix = transport.matrix(log_probabilities, power).T
        if 'imagenet' in name:
            outputs[f'Q_{name}'] = matrix
            losses[f'err_{name}'] = transport.error
            assert torch.bincount(labels, minlength=num_clusters).tolist() == expected[f'histogram_{name}']
        else:
            losses['cost_cifar_lamb10'] = -log_probabilities.gather(1, labels[:, None]).mean().item()
    outputs['Q_row_sums_imagenet_lamb25'] = outputs['Q_imagenet_lamb25'].sum(1)
    outputs['Q_row_sums_imagenet_lamb10'] = outputs['Q_imagenet_lamb10'].sum(1)
    outputs['Q_col_sums_imagenet_lamb25'] = outputs['Q_imagenet_lamb25'].sum(0)
    outputs['Q_col_sums_imagenet_lamb10'] = outputs['Q_imagenet_lamb10'].sum(0)
    results = {'outputs': {name: summary(value) for name, value in outputs.items()}, 'losses': losses}
    golden.check(results, ['outputs', 'losses'])

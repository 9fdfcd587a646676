from __future__ import annotations

import numpy as np
import pytest

from mmssl.datasets import epoch_sampler
from mmssl.datasets.cluster_sampler import ClusterSampler
from tests.parity.golden import Golden


def labels_of(clusters: list[list[int]], count: int) -> np.ndarray:
    labels = np.full(count, -1)
    for cluster, rows in enumerate(clusters):
        labels[rows] = cluster
    return labels


def drawn(labels: np.ndarray, epochs: int = 1, reassign: float = 1.0) -> np.ndarray:
    sampler, found = ClusterSampler(range(len(labels)), reassign, seed=0), []
    sampler.set_labels(labels)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        found.append([index for _, index in sampler])
    return np.array(found)


@pytest.mark.parametrize('case', ['small', 'big', 'big_reassign2.5'])
def test_each_cluster_comes_as_often_as_in_the_official_code(goldens_dir, case):
    golden = Golden(goldens_dir, 'deepcluster_sampler')
    expected = golden.record['literals_out'][case]
    if case == 'small':
        clusters = golden.literals['small']
        labels = labels_of(clusters, 1 + max(max(rows) for rows in clusters if rows))
        reassign = expected['N'] / len(labels) + 1e-9
    else:
        labels = np.repeat(np.arange(len(expected['cluster_sizes'])), expected['cluster_sizes'])
        reassign = expected['N'] / len(labels)
    epochs = drawn(labels, 5, reassign)
    assert epochs.shape == (5, expected['N'])
    for rows in epochs:
        assert (labels[rows] >= 0).all()
        counts = np.bincount(labels[rows], minlength=len(expected['cluster_sizes']))
        assert (counts >= expected['per_cluster_min']).all() and (counts <= expected['per_cluster_max']).all()
        for cluster, replaced in enumerate(expected['with_replacement']):
            chosen = rows[labels[rows] == cluster]
            assert replaced or len(set(chosen)) == len(chosen)
    assert not (epochs[0] == epochs[1]).all()


def test_shares_are_equal_whatever_the_sizes():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [1000, 100, 10]))
    counts = np.bincount(labels[drawn(labels, 9)].ravel())
    assert abs(counts / counts.sum() - 1 / 3).max() < 3 * np.sqrt(2 / 9 / counts.sum())


def test_processes_share_one_order(monkeypatch):
    labels = np.arange(30) // 7
    alone = drawn(labels)[0].tolist()
    for processes in (2, 4):
        monkeypatch.setattr(epoch_sampler, 'world_size', lambda count=processes: count)
        parts = []
        for rank in range(processes):
            monkeypatch.setattr(epoch_sampler, 'rank', lambda rank=rank: rank)
            parts.append(drawn(labels)[0].tolist())
        assert [row for rows in zip(*parts) for row in rows] == alone[: len(parts[0]) * processes]


def test_without_clusters_it_says_what_is_missing():
    with pytest.raises(ValueError, match='PseudoLabelsHook'):
        list(ClusterSampler(range(5), seed=0))
    with pytest.raises(ValueError, match='no image has a cluster'):
        ClusterSampler(range(5), seed=0).set_labels(np.full(5, -1))
    for wrong in (0, float('nan'), float('inf')):
        with pytest.raises(ValueError, match='reassign must be positive'):
            ClusterSampler(range(5), reassign=wrong)


def test_an_epoch_without_an_image_is_refused():
    with pytest.raises(ValueError, match='reassign=0.1 of 5 images is no image for each process'):
        ClusterSampler(range(5), 0.1, seed=0)

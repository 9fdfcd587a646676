from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, normalize
from torch.testing import assert_close

from mmssl.distributed.collectives import rank
from mmssl.models.components import online_clusters
from mmssl.models.components.online_clusters import OnlineClusters
from tests.support.distributed import run_distributed
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import BACKBONE, DIM, build, views

MODEL = dict(
    neck=dict(
        type='TileNeck', in_channels=64, num_tiles=1, single=[dict(channels=24, norm='plain'), dict(channels=DIM)]
    ),
    head=dict(type='ClusterHead', in_channels=DIM, num_clusters=4),
    clusters=dict(dim=DIM, min_cluster=2),
)


def _started(num_images: int = 12):
    """ODC whose memory k-means has started."""
    algorithm = build('ODC', **MODEL)
    algorithm.before_labels(num_images)
    labels = np.arange(num_images)[None] % 4
    assert algorithm.take_labels(labels, np.eye(4, DIM)[None]) == [algorithm.head]
    return algorithm, torch.from_numpy(labels[0])


def test_images_learn_their_cluster_and_rare_clusters_count_more():
    algorithm, labels = _started()
    algorithm.clusters.labels[:6] = 0
    (images,), index = views(1), torch.arange(4, 12)
    loss = algorithm.loss([images], dict(index=index, pseudo_label=labels[index, None]))['loss']
    features = algorithm.neck(algorithm.backbone(images))
    targets = algorithm.clusters.labels[index]
    assert torch.equal(algorithm.clusters.counts(), algorithm.clusters.labels.bincount(minlength=4))
    weights = (algorithm.clusters.counts().double() + 1e-5) ** -0.5
    expected = cross_entropy(algorithm.head.predict(features)[:, 0], targets, weight=weights)
    assert_close(loss, expected)


def test_clusters_move_after_the_step():
    algorithm, labels = _started()
    (images,), index, before = views(1), torch.arange(8), algorithm.clusters.features.clone()
    algorithm.loss([images], dict(index=index, pseudo_label=labels[index, None]))
    assert torch.equal(algorithm.clusters.features, before)
    algorithm.on_step_end(0.1)
    rows = algorithm.clusters.features
    assert torch.equal(rows[8:], before[8:]) and not torch.equal(rows[:8], before[:8])
    assert_close(rows.norm(dim=1), torch.ones(12, dtype=torch.float64))
    assert algorithm.clusters.labels[:8].tolist() == (rows[:8] @ torch.eye(4, DIM).double().T).argmax(dim=1).tolist()


def test_a_small_cluster_gets_half_of_the_largest():
    clusters = OnlineClusters(num_clusters=3, dim=2, min_cluster=4).double()
    clusters.resize(20)
    angles = torch.cat([torch.full((8,), 0.0), torch.full((8,), 1.0), torch.full((4,), 3.0)]).double()
    clusters.features.copy_(torch.stack([angles.cos(), angles.sin()], dim=1))
    clusters.labels[:16], clusters.labels[16:] = 0, 1
    assert clusters.empty_small_clusters().tolist() == [2]  # four images are enough
    clusters.tidy()
    assert sorted(clusters.counts().tolist()) == [4, 8, 8]
    assert len(set(clusters.labels[:8].tolist())) == len(set(clusters.labels[8:16].tolist())) == 1
    assert_close(clusters.centroids[clusters.labels[0]], clusters.features[0])


def test_the_momentum_is_the_weight_of_the_old_row():
    clusters = OnlineClusters(num_clusters=2, dim=2, momentum=0.75, min_cluster=1).double()
    clusters.resize(2)
    clusters.start(torch.tensor([0, 1]), torch.eye(2, dtype=torch.float64))
    clusters.stage(torch.tensor([[0.0, 4.0]]), torch.tensor([0]))
    clusters.commit()
    assert_close(clusters.features, torch.tensor([[3 / 10**0.5, 1 / 10**0.5], [0, 1]], dtype=torch.float64))
    assert clusters.labels.tolist() == [0, 1]


def test_equal_features_are_split_by_chance():
    clusters = OnlineClusters(num_clusters=2, dim=2, min_cluster=1).double()
    clusters.resize(6)
    clusters.features[:, 0] = 1
    clusters.tidy()
    assert clusters.counts().tolist() == [3, 3]


def test_without_a_training_set_the_given_labels_are_learnt():
    algorithm, (images,) = build('ODC', **MODEL), views(1)
    labels = torch.arange(8)[:, None] % 4
    loss = algorithm.loss([images], dict(index=torch.arange(8), pseudo_label=labels))['loss']
    assert_close(loss, algorithm.head(algorithm.neck(algorithm.backbone(images)), labels))
    features = algorithm.label_features(images)
    assert_close(features, normalize(features, dim=1))
    assert features.min() >= 0  # after the ReLU of the neck


def test_wrong_arguments():
    with pytest.raises(ValueError, match='tidy_interval must be at least 1, got 0'):
        build('ODC', tidy_interval=0, **MODEL)
    with pytest.raises(ValueError, match=r'momentum must lie in \[0, 1\), got 1'):
        build('ODC', **dict(MODEL, clusters=dict(dim=DIM, momentum=1)))


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path):
    model = dict(type='ODC', data_preprocessor=dict(type='SelfSupDataPreprocessor'), backbone=BACKBONE, **MODEL)
    loader = dict(
        dataset=dict(type='NoiseImages', num_images=26, views=[dict(type='AugmentedView', size=16)]),
        sampler=dict(type='EpochSampler'),
        collate_fn=dict(type='collate_views'),
        batch_size=4,
        drop_last=True,
        num_workers=0,
    )
    hook = dict(
        type='PseudoLabelsHook',
        labeller=dict(type='KMeansLabeller', num_clusters=4),
        transform=dict(type='CenterCropView', size=16),
    )
    assert_resume_is_exact(tmp_path, model=model | dict(tidy_interval=3), train_dataloader=loader, custom_hooks=[hook])


def test_an_image_that_could_not_be_read_stops_no_training():
    clusters = OnlineClusters(num_clusters=3, dim=DIM, min_cluster=1)
    clusters.resize(7)
    clusters.start(torch.tensor([0, -1, -1, 1, 2, -1, 0]), torch.eye(3, DIM))
    assert clusters.labels.tolist() == [0, 1, 2, 1, 2, 2, 0]
    clusters.tidy()
    assert clusters.counts().sum() == 7 and clusters.weights().sum() == pytest.approx(1)


def test_too_few_images_for_the_clusters_are_told(monkeypatch):
    said = []
    monkeypatch.setattr(online_clusters, 'print_log', lambda text, **options: said.append(text))
    clusters = OnlineClusters(num_clusters=3, dim=DIM, min_cluster=4)
    clusters.resize(12)
    assert not said
    clusters.resize(11)
    assert '11 images cannot make 3 clusters of at least 4' in said[0]


def _split_differently() -> list[int]:
    online_clusters._second_half = lambda features: torch.arange(len(features)) % 2 == rank()
    clusters = OnlineClusters(num_clusters=2, dim=2, min_cluster=2)
    clusters.resize(8)
    clusters.start(torch.zeros(8, dtype=torch.int64), torch.eye(2))
    clusters.tidy()
    return clusters.labels.tolist()


def test_all_processes_split_a_cluster_alike():
    """2-means may round differently on another machine."""
    one, other = run_distributed(_split_differently, 2)
    assert one == other == [1, 0] * 4

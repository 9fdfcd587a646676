"""InterCLR: a query finds another image of its cluster among images of other clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.models.components.cluster_pairs import ClusterPairs
from mmssl.models.components.online_clusters import OnlineClusters
from mmssl.models.losses.inter_image_loss import inter_image_contrast
from mmssl.models.losses.queue_contrast_loss import queue_contrast
from tests.support.interruption import assert_resume_is_exact
from tests.support.small_parts import BACKBONE, DIM, build, mlp, views

MODEL = dict(
    neck=mlp(64, norm=False, bias=True, last_bias=True),
    head=dict(type='InterImageLoss', num_clusters=4, share=0.25),
    teacher=dict(momentum=0.9, schedule='constant'),
    queue=dict(length=16, dim=DIM),
    clusters=dict(dim=DIM, momentum=0.0, min_cluster=2),
    pairs=dict(num_negatives=3, num_candidates=6),
)


def _memory(labels: list[int]) -> OnlineClusters:
    memory = OnlineClusters(num_clusters=3, dim=4).double()
    memory.resize(len(labels))
    memory.labels.copy_(torch.tensor(labels))
    memory.features.copy_(normalize(torch.randn(len(labels), 4), dim=1))
    return memory


def _started(num_images: int = 12):
    algorithm = build('InterCLR', **MODEL)
    algorithm.on_train_start()
    algorithm.before_labels(num_images)
    labels = np.arange(num_images)[None] % 4
    assert algorithm.take_labels(labels, np.eye(4, DIM)[None]) == []
    return algorithm, torch.from_numpy(labels[0])


def test_members_are_all_images_of_the_cluster():
    memory = _memory([0, 2, 0, 1, 0])
    places = torch.tensor([0.0, 0.34, 0.99, 0.5, 1.0])
    assert memory.members(torch.tensor([2, 2, 2, 3, 0]), places).tolist() == [0, 2, 4, 3, 4]


def test_negatives_are_distinct_similar_images_of_other_clusters():
    memory, index, pairs = _memory([0, 1, 2] * 10), torch.arange(30), ClusterPairs(5, num_candidates=12)
    queries, step = torch.randn(30, 4, dtype=torch.float64), torch.tensor(3)
    cosines = normalize(queries, dim=1) @ memory.features.T
    others = cosines.masked_fill(memory.labels[:, None] == memory.labels, -torch.inf)
    rows = pairs.draw(others, index, step)
    assert all(len(set(row)) == 5 for row in rows.tolist())
    assert (memory.labels[rows] != memory.labels[:, None]).all()
    assert (others.gather(1, rows) >= others.sort(dim=1, descending=True).values[:, 11:12]).all()
    assert torch.equal(pairs.draw(others[7:9], index[7:9], step), rows[7:9])  # whatever else is in the batch
    assert not torch.equal(pairs.draw(others, index, step + 1), rows)


def test_images_of_the_own_cluster_are_drawn_only_if_others_are_too_few():
    similarities = torch.randn(20, 12).masked_fill(torch.arange(12) % 2 == 0, -torch.inf)
    rows = ClusterPairs(6, num_candidates=None).draw(similarities, torch.arange(20), torch.tensor(0))
    assert (rows.sort(dim=1).values == torch.arange(1, 12, 2)).all()


def test_too_few_other_images_are_left_out():
    memory, queries = _memory([0, 0, 0, 1]), torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    similarities = ClusterPairs(3, num_candidates=3)(queries, memory, torch.tensor([0, 1]), torch.tensor(0))
    assert similarities[:, 1:].isinf().sum(dim=1).tolist() == [2, 2]
    loss = inter_image_contrast(similarities, -0.5, 0.2)
    positive, negative = similarities[:, 0], normalize(queries, dim=1) @ memory.features[3]
    assert_close(loss, torch.log1p(torch.exp((negative - positive - 0.5) / 0.2)).mean())
    loss.backward()
    assert queries.grad.isfinite().all()


def test_the_terms_and_the_step():
    algorithm, labels = _started()
    algorithm.eval()
    batch, index = views(), torch.arange(4, 12)
    samples = dict(index=index, pseudo_label=labels[index, None])
    losses = algorithm.loss(batch, samples)
    queries, keys = algorithm.neck(algorithm.backbone(batch[0])), algorithm.teacher(batch[1])
    assert_close(losses['loss_intra'], 0.75 * queue_contrast(queries, keys, algorithm.queue.features, 0.2))
    halves = [
        algorithm.pairs(queries[part], algorithm.clusters, index[part], algorithm.position.count)
        for part in (slice(0, 4), slice(4, 8))
    ]
    assert_close(losses['loss_inter'], 0.25 * inter_image_contrast(torch.cat(halves), -0.5, 0.2))
    algorithm.on_step_end(0.1)
    assert_close(algorithm.clusters.features[index], normalize(keys, dim=1))  # the latest key replaces the row
    assert_close(algorithm.queue.features[:8], normalize(keys, dim=1))


def test_wrong_arguments():
    with pytest.raises(ValueError, match='num_candidates must be at least num_negatives=3 or None, got 2'):
        build('InterCLR', **MODEL | dict(pairs=dict(num_negatives=3, num_candidates=2)))
    with pytest.raises(ValueError, match='tidy_interval must be at least 1, got 0'):
        build('InterCLR', tidy_interval=0, **MODEL)
    with pytest.raises(ValueError, match=r'share must lie in \[0, 1\], got 2'):
        build('InterCLR', **MODEL | dict(head=dict(type='InterImageLoss', num_clusters=4, share=2)))


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path):
    model = dict(type='InterCLR', data_preprocessor=dict(type='SelfSupDataPreprocessor'), backbone=BACKBONE, **MODEL)
    view = dict(type='AugmentedView', size=16)
    loader = dict(
        dataset=dict(type='NoiseImages', num_images=26, views=[view, view]),
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

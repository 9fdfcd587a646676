"""DeepCluster-v2: the bank of the last epoch, centroids as classifiers, images without label."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from mmssl.converters.transfer import load_trained_weights
from mmssl.models.algorithms.deep_cluster_v2 import DeepClusterV2
from tests.support.interruption import assert_resume_is_exact
from tests.support.tiny_run import build_runner, tiny_config, train

MODEL = dict(
    backbone=dict(type='ResNet', depth=18, stem='small', width=0.125),
    neck=dict(type='MLPProjector', in_channels=64, hidden_channels=32, out_channels=16, bias=True, last_bias=True),
    head=dict(
        type='ClusterHead', in_channels=16, num_clusters=4, num_heads=3, bias=False, temperature=0.1, frozen=True
    ),
)
KMEANS = dict(num_heads=3, num_crops=2, spherical=True, num_iterations=10, empty_clusters='keep')
CHANGES = dict(
    model=dict(MODEL, type='DeepClusterV2', data_preprocessor=dict(type='SelfSupDataPreprocessor')),
    custom_hooks=[dict(type='PseudoLabelsHook', labeller=dict(type='KMeansLabeller', num_clusters=4, **KMEANS))],
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = DeepClusterV2(**MODEL)
    model.before_labels(10)
    return model


def test_all_views_predict_the_clusters_of_their_image(model):
    views = [torch.randn(4, 3, size, size) for size in (16, 16, 8)]
    labels, indices = torch.randint(4, (4, 3)), torch.tensor([7, 1, 9, 4])
    labels[2] = -1
    loss = model.loss(views, dict(pseudo_label=labels, index=indices))['loss']
    features = [model.backbone(torch.cat(views[:2]))[0], model.backbone(views[2])[0]]
    z = normalize(model.neck(torch.cat([x.mean((2, 3)) for x in features])), dim=1)
    centroids = model.head.fc.weight.unflatten(0, (3, 4))
    terms = [
        cross_entropy(z @ centroids[head].T / 0.1, labels[:, head].repeat(3), ignore_index=-1) for head in range(3)
    ]
    torch.testing.assert_close(loss, sum(terms) / 3)

    assert model.stored_features() is None  # until the step has happened
    model.on_step_end(0.5)
    rows, filled = model.stored_features()
    assert filled.nonzero().flatten().tolist() == [1, 4, 7, 9]
    torch.testing.assert_close(rows[indices], torch.cat(z.detach().chunk(3)[:2], 1))


def test_centroids_become_the_weights_and_the_bank_begins_again(model):
    model.bank.filled.fill_(True)
    centroids = np.random.default_rng(0).normal(size=(3, 4, 16)).astype(np.float32)
    assert model.take_labels(np.zeros((3, 10), np.int64), centroids) == []
    assert torch.equal(model.head.fc.weight.unflatten(0, (3, 4)), torch.from_numpy(centroids))
    assert model.stored_features() is None and not model.head.fc.weight.requires_grad


def test_a_run_labels_every_epoch_from_the_epoch_before(tmp_path):
    runner = build_runner(tiny_config(tmp_path, **CHANGES))
    runner.train()
    (hook,) = (hook for hook in runner.hooks if hasattr(hook, 'labels'))
    assert hook.labels.shape == (3, 26) and hook.done == 3
    # The labels of the last epoch are those of the 24 images of the one before: two were dropped.
    assert (hook.labels[0] < 0).sum() == 2 and ((hook.labels < 0) == (hook.labels[0] < 0)).all()
    weights = runner.algorithm.head.fc.weight
    torch.testing.assert_close(weights.norm(dim=1), torch.ones(len(weights)))
    assert runner.algorithm.bank.filled.sum() == 24


def test_a_run_from_the_weights_of_another_reads_its_images_first(tmp_path, monkeypatch):
    read, features = [], DeepClusterV2.label_features
    monkeypatch.setattr(DeepClusterV2, 'label_features', lambda *args: read.append(1) or features(*args))
    other = DeepClusterV2(**MODEL)
    for num_images in (26, 10):  # as many images as the new run has, and others
        other.before_labels(num_images)
        other.bank.filled.fill_(True)
        torch.save(dict(state_dict=other.state_dict()), tmp_path / 'other.pth')
        read.clear()
        runner = train(tiny_config(tmp_path, **CHANGES | dict(max_epochs=1, load_from=str(tmp_path / 'other.pth'))))
        assert read and len(runner.algorithm.bank.filled) == 26
    untrained = DeepClusterV2(**MODEL)
    load_trained_weights(untrained, 'other.pth', dict(state_dict=other.state_dict()))  # of tools/test.py
    assert torch.equal(untrained.head.fc.weight, other.head.fc.weight)


@pytest.mark.parametrize(
    ('model', 'labeller', 'message'),
    [
        ({}, dict(num_crops=1), 'DeepClusterV2 needs num_crops=2 in .*; got 1'),
        ({}, dict(whiten=8), 'DeepClusterV2 needs centroids of its features'),
        (dict(num_assign=3), dict(num_crops=3), 'DeepClusterV2 takes 3 independent views .* has 2: 1 too few'),
        (dict(num_assign=0), {}, 'num_assign must be at least 1, got 0'),
    ],
)
def test_mistakes_end_the_run_before_its_first_iteration(tmp_path, model, labeller, message):
    hook = dict(type='PseudoLabelsHook', labeller=dict(type='KMeansLabeller', num_clusters=4, **KMEANS | labeller))
    changes = dict(model=dict(CHANGES['model'], **model), custom_hooks=[hook])
    with pytest.raises(ValueError, match=message):
        train(tiny_config(tmp_path, **changes))


def test_a_resumed_run_ends_in_the_same_bits(tmp_path):
    assert_resume_is_exact(tmp_path, **CHANGES)

"""Clusters and vocabularies of a small network: what is written, and that it is right."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from mmssl.checkpoints.files import save_checkpoint_file
from mmssl.clustering.kmeans import assign
from mmssl.datasets.relabelled_images import image_name, read_labels, write_labels
from mmssl.distributed.collectives import rank
from mmssl.engine.steps.cluster_accuracy import ClusterAccuracy
from mmssl.engine.steps.cluster_features import ClusterFeatures, normalize_rows
from mmssl.engine.steps.fit_vocabulary import FitVocabulary
from mmssl.models.layers.pooling import to_vector
from mmssl.registry import ALGORITHMS, BACKBONES, DATASETS, PREPROCESSORS, STEPS
from mmssl.utils.errors import UserError
from tests.support.distributed import run_distributed

BACKBONE = dict(type='ResNet', depth=18, stem='small', width=0.125, out_indices=(1,))
LOADER = dict(
    batch_size=30,
    dataset=dict(type='PhotoPatches', split='test', size=16, transform=dict(type='CenterCropView', size=16)),
)


@pytest.fixture(scope='module', autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmssl'):
        yield


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('weights') / 'backbone.pth'
    save_checkpoint_file(dict(state_dict=BACKBONES.build(BACKBONE).state_dict()), path)
    return str(path)


@pytest.fixture(scope='module')
def images():
    """All images of the test split, normalised, (N, 3, H, W)."""
    dataset = DATASETS.build(LOADER['dataset'])
    squares = torch.stack([dataset[row]['inputs'] for row in range(len(dataset))])
    return PREPROCESSORS.build(dict(type='SelfSupDataPreprocessor'))(dict(inputs=squares), False)['inputs']


@pytest.fixture(scope='module')
def maps(checkpoint, images):
    """The maps of these images, (N, C, H, W)."""
    backbone = BACKBONES.build(BACKBONE).eval()
    backbone.load_state_dict(torch.load(checkpoint, weights_only=True)['state_dict'])
    with torch.no_grad():
        return backbone(images)[-1]


def test_clusters_of_normalised_features_become_labels(checkpoint, maps, tmp_path):
    train = dict(LOADER, dataset=dict(LOADER['dataset'], split='train', patch_seed=1))
    step = ClusterFeatures(
        seed=0, dataloader=train, test_dataloader=LOADER, backbone=BACKBONE, checkpoint=checkpoint, num_clusters=7
    )
    step.run(tmp_path)
    centroids = np.load(tmp_path / 'centroids.npy')
    features = to_vector(maps).numpy().copy()
    normalize_rows(features)
    labels = list(read_labels(tmp_path / 'test_labels.txt').values())
    assert labels == assign(features, centroids)[0].tolist() == assign(features, centroids, backend='torch')[0].tolist()
    found = json.loads((tmp_path / 'clusters.json').read_text())
    assert sum(found['sizes']) == 7200 == len(read_labels(tmp_path / 'labels.txt')) and found['scores']['nmi'] > 0.1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'centroids.npy', 'clusters.json', 'labels.txt', 'test_labels.txt'
    ]  # fmt: skip
    with pytest.raises(UserError, match='ResNet would have random weights: set checkpoint'):
        ClusterFeatures(seed=0, dataloader=LOADER, backbone=BACKBONE).run(tmp_path)


@pytest.mark.parametrize(
    ('network', 'backbone'),
    [
        (partial(timm.create_model, 'test_resnet', num_classes=0), dict(type='TimmBackbone', name='test_resnet')),
        (torchvision.models.resnet18, dict(type='ResNet', depth=18)),
    ],
    ids=['timm', 'torchvision'],
)
def test_the_first_network_may_be_of_another_library(network, backbone, images, tmp_path):
    torch.manual_seed(0)
    model = network().eval()
    torch.save(model.state_dict(), tmp_path / 'weights.pth')
    step = ClusterFeatures(
        seed=0, dataloader=LOADER, backbone=backbone, checkpoint=str(tmp_path / 'weights.pth'), num_clusters=5
    )
    step.run(tmp_path)
    model.fc = torch.nn.Identity()
    with torch.no_grad():
        features = model(images).numpy().copy()
    normalize_rows(features)
    labels = assign(features, np.load(tmp_path / 'centroids.npy'))[0]
    assert list(read_labels(tmp_path / 'labels.txt').values()) == labels.tolist() and len(set(labels)) == 5


def test_the_accuracy_on_clusters_is_that_of_the_classifier(images, tmp_path):
    torch.manual_seed(0)
    slots = dict(backbone=BACKBONE, neck=dict(type='Identity'), data_preprocessor=dict(type='SelfSupDataPreprocessor'))
    head = dict(type='LinearClsHead', in_channels=16, num_classes=7)
    config = Config(dict(model=dict(type='ImageClassifier', head=head, **slots)))
    model = ALGORITHMS.build(config.model).eval()
    content = dict(meta=dict(cfg=config.pretty_text), state_dict=model.state_dict())
    save_checkpoint_file(content, tmp_path / 'fit.pth')
    with torch.no_grad():
        best = model.predict(images).topk(6).indices
    clusters = best[:, 0].clone()
    clusters[::4], clusters[2::4] = best[::4, 3], best[2::4, 5]  # a quarter is among five, a quarter is not
    dataset = DATASETS.build(LOADER['dataset'])
    names = [image_name(dataset, row) for row in range(len(dataset))]
    order = torch.randperm(len(dataset)).tolist()
    write_labels(tmp_path / 'labels.txt', [names[i] for i in order], clusters[order].tolist(), 'clusters')
    files = dict(checkpoint=str(tmp_path / 'fit.pth'), labels=str(tmp_path / 'labels.txt'))
    step = ClusterAccuracy(seed=0, dataloader=LOADER, **files)
    assert '1,080 images' in str(step.dry_run(tmp_path)) and not step.dry_run(tmp_path).problems
    step.run(tmp_path)
    assert json.loads((tmp_path / 'accuracy.json').read_text()) == dict(top1=50.0, top5=75.0)


def test_rows_have_length_one_and_nought_stays():
    features = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    features[3] = 0
    scaled = features * np.arange(1, 51, dtype=np.float32)[:, None]
    normalize_rows(features)
    normalize_rows(scaled)
    lengths = np.linalg.norm(features, axis=1)
    assert lengths[3] == 0 and np.abs(np.delete(lengths, 3) - 1).max() < 1e-4
    np.testing.assert_allclose(features, scaled, atol=1e-4)


def test_the_vocabulary_is_that_of_the_vectors_of_some_images(checkpoint, maps, tmp_path):
    step = FitVocabulary(
        seed=0, dataloader=LOADER, backbone=BACKBONE, checkpoint=checkpoint, num_words=9, sampled_images=400
    )
    step.run(tmp_path)
    words = np.load(tmp_path / 'vocabulary.npy')
    vectors = maps.flatten(2).transpose(1, 2).flatten(0, 1).numpy().copy()
    labels, distances = assign(vectors, words)
    means = [vectors[labels == word].mean(0) for word in range(9)]
    assert np.square(words - means).sum(1).mean() < 0.1 * distances.mean()  # of all images, not of these 400
    counts = json.loads((tmp_path / 'words.json').read_text())['counts']
    assert len(counts) == 9 and sum(counts) == 400 * maps[0, 0].numel() and min(counts) > 0
    assert (tmp_path / 'words.png').stat().st_size > 10_000


def test_what_a_step_lacks_is_told(checkpoint, tmp_path):
    bare = dict(LOADER, dataset=dict(type='PhotoPatches', split='test', size=16))
    with pytest.raises(UserError, match='needs a transform, such as'):
        ClusterAccuracy(seed=0, dataloader=bare, checkpoint=checkpoint, labels='labels.txt')
    with pytest.raises(UserError, match='needs a transform, such as'):
        ClusterFeatures(seed=0, dataloader=bare, backbone=BACKBONE, num_clusters=2).dry_run(tmp_path)
    step = ClusterAccuracy(seed=0, dataloader=LOADER, checkpoint=checkpoint)
    assert 'PROBLEM: ClusterAccuracy needs labels' in str(step.dry_run(tmp_path))
    with pytest.raises(UserError, match='needs labels, the clusters of the held-out images'):
        step.run(tmp_path)
    few = FitVocabulary(seed=0, dataloader=LOADER, backbone=BACKBONE, checkpoint=checkpoint, num_words=65)
    few.sampled_images = 1
    with pytest.raises(UserError, match='64 vectors of 1 images cannot make 65 words: lower num_words or raise'):
        few.run(tmp_path)


def test_features_that_cannot_be_clustered_are_deleted(checkpoint, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError('the features of row 3 are not finite')

    step = ClusterFeatures(seed=0, dataloader=LOADER, backbone=BACKBONE, checkpoint=checkpoint, num_clusters=7)
    monkeypatch.setattr(step.kmeans, 'fit', fail)
    with pytest.raises(ValueError, match='row 3'):
        step.run(tmp_path)
    assert not list(tmp_path.iterdir())


def test_too_many_clusters_are_refused_before_features_are_extracted(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr('mmssl.engine.steps.cluster_features.extract_to_file', None)
    step = ClusterFeatures(seed=0, dataloader=LOADER, backbone=BACKBONE, checkpoint=checkpoint, num_clusters=1081)
    with pytest.raises(UserError, match='1,080 images cannot make 1,081 clusters'):
        step.run(tmp_path)


def test_a_dry_run_tells_memory_and_leaves_stand_ins(tmp_path):
    report = ClusterFeatures(seed=0, dataloader=LOADER, backbone=BACKBONE, num_clusters=5000).dry_run(tmp_path)
    assert 'features: 1,080 x 16' in str(report) and '1,080 images cannot make 5,000 clusters' in str(report)
    assert len(read_labels(tmp_path / 'labels.txt')) == 1080
    missing = dict(
        LOADER, dataset=dict(type='ImageNet1k', data_root='/none', transform=dict(type='CenterCropView', size=16))
    )
    report = ClusterFeatures(seed=0, dataloader=missing, backbone=BACKBONE, num_images=10**6).dry_run(tmp_path)
    assert 'features: 1,000,000 x 16' in str(report) and 'PROBLEM: labels.txt: /none/train' in str(report)
    report = FitVocabulary(seed=0, dataloader=LOADER, backbone=BACKBONE, num_words=10, sampled_images=20).dry_run(
        tmp_path
    )
    assert '20 images with 64 positions: 1,280 x 16, 128 for each word' in str(report) and not report.problems
    assert np.load(tmp_path / 'vocabulary.npy').shape == (10, 16)


@pytest.mark.parametrize('kind', [partial(ClusterFeatures, num_clusters=3), partial(FitVocabulary, num_words=3)])
def test_images_with_bands(kind, tmp_path):
    for number in range(8):
        samples = np.random.default_rng(number).integers(0, 4096, (20, 20, 5), dtype=np.uint16)
        np.save(tmp_path / f'{number}.npy', samples)
    torch.manual_seed(0)
    backbone = dict(BACKBONE, in_channels=5)
    save_checkpoint_file(dict(state_dict=BACKBONES.build(backbone).state_dict()), tmp_path / 'backbone.pth')
    plain = dict(type='CenterCropView', size=16)
    images = dict(type='ImageFolder', data_root=str(tmp_path), bands=5, value_range=(0, 4095), transform=plain)
    step = kind(
        seed=0,
        dataloader=dict(batch_size=4, dataset=images),
        backbone=backbone,
        checkpoint=str(tmp_path / 'backbone.pth'),
        data_preprocessor=dict(type='SelfSupDataPreprocessor', mean=[128] * 5, std=[70] * 5, shown=(4,)),
    )
    assert not step.dry_run(tmp_path).problems
    step.run(tmp_path)
    figures = list(tmp_path.glob('*.png'))
    assert bool(figures) == (kind.func is FitVocabulary)
    for file in figures:
        pixels = np.asarray(Image.open(file).convert('RGB')).astype(int)
        assert np.ptp(pixels.max(axis=2)) > 150  # neither white alone
        assert (pixels.max(axis=2) - pixels.min(axis=2)).mean() < 10  # nor in colour: one band is shown


def _stand_ins(folder):
    path = Path(folder, str(rank()))
    path.mkdir()
    with DefaultScope.overwrite_default_scope('mmssl'):
        FitVocabulary(seed=0, dataloader=LOADER, backbone=BACKBONE, num_words=10).dry_run(path)
        ClusterFeatures(seed=0, dataloader=LOADER, backbone=BACKBONE, num_clusters=3).dry_run(path)
        ClusterAccuracy(seed=0, dataloader=LOADER).dry_run(path)
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_every_process_of_a_dry_run_writes_the_same_stand_ins(tmp_path):
    first, second = run_distributed(_stand_ins, 2, str(tmp_path))
    assert first.keys() == {'vocabulary.npy', 'labels.txt', 'accuracy.json'}
    assert first == second


def test_the_step_of_the_page_counts_images(tmp_path):
    page = Path(__file__).parents[3] / 'docs' / 'howto' / 'stages.md'
    (block,) = re.findall(r'```python\n([^`]*class CountImages.*?)```', page.read_text(), re.DOTALL)
    exec(block, {})
    try:
        step = STEPS.build(dict(type='CountImages', seed=0, dataset=LOADER['dataset']))
    finally:
        del STEPS.module_dict['CountImages']
    step.run(tmp_path)
    assert (tmp_path / 'count.txt').read_text() == '1080'
    assert str(step.dry_run(tmp_path)) == 'counting costs nothing'

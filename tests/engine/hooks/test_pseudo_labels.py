"""Labels are made when the algorithm asks, of the right images, survive interruption, and reach batch and sampler."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import resource
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from torch import Tensor
from torch.utils.data import DataLoader

from mmssl.apis.evaluate import _keep_test_parts
from mmssl.clustering.labels import KMeansLabeller
from mmssl.clustering.scores import agreement
from mmssl.datasets.collate_views import collate_views
from mmssl.datasets.decode import UnreadableImageError
from mmssl.datasets.epoch_sampler import EpochSampler
from mmssl.distributed.collectives import world_size
from mmssl.engine.hooks import pseudo_labels as module
from mmssl.engine.hooks.pseudo_labels import PseudoLabelsHook
from mmssl.evaluation.extract import Rows
from mmssl.models.algorithms.deep_cluster import DeepCluster
from mmssl.models.layers.sync_batch_norm import convert_sync_batchnorm
from mmssl.registry import ALGORITHMS
from mmssl.utils.errors import UserError
from mmssl.utils.scalars import read_scalars
from tests.support.distributed import exit_codes, run_distributed, start_process
from tests.support.interruption import assert_resume_is_exact
from tests.support.tiny_run import LabelledNoise, build_runner, tiny_config, train

MODEL = dict(
    type='DeepCluster',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='ResNet', depth=18, stem='small', width=0.125),
    neck=dict(type='Identity'),
    head=dict(type='ClusterHead', in_channels=64, num_clusters=5),
)
HOOK = dict(
    type='PseudoLabelsHook',
    labeller=dict(type='KMeansLabeller', num_clusters=5, whiten=8),
    transform=dict(type='CenterCropView', resize=16, size=16),
)
LOADER = dict(
    dataset=dict(type='LabelledNoise', num_images=26, views=[dict(type='AugmentedView', size=16)]),
    sampler=dict(type='ClusterSampler'),
    collate_fn=dict(type='collate_views'),
    batch_size=4,
    drop_last=True,
    num_workers=0,
)
OPTIMIZER = dict(
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-5),
    paramwise_cfg=dict(custom_keys={'head.fc': dict(momentum=0.0)}),
)
CHANGES = dict(model=MODEL, train_dataloader=LOADER, optim_wrapper=OPTIMIZER)


class Watch(Hook):
    """Keeps what the hook of labels did."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.labels, self.heads, self.states = [], [], []

    def before_train_epoch(self, runner) -> None:
        (hook,) = (hook for hook in runner.hooks if isinstance(hook, PseudoLabelsHook))
        head = runner.algorithm.head.fc.weight
        self.labels.append(hook.labels.copy())
        self.heads.append(head.detach().clone())
        self.states.append(runner.optim_wrapper.optimizer.state.get(head))

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        samples = data_batch['data_samples']
        expected = self.labels[-1][:, samples['index'].numpy()].T
        assert (samples['pseudo_label'].numpy() == expected).all() and (expected >= 0).all()


@pytest.fixture(scope='module')
def watched(tmp_path_factory):
    """A run of three epochs and what was seen of it."""
    folder = tmp_path_factory.mktemp('labels')
    runner, watch = build_runner(tiny_config(folder, **CHANGES, custom_hooks=[HOOK])), Watch()
    runner.register_hook(watch)
    runner.train()
    return runner, watch


def test_each_epoch_has_new_labels_a_new_head_and_no_optimizer_state_of_it(watched):
    runner, watch = watched
    assert len(watch.labels) == 3
    assert all(labels.shape == (1, 26) and set(labels[0]) <= set(range(5)) for labels in watch.labels)
    for head, state in zip(watch.heads, watch.states):
        assert head.std().item() == pytest.approx(0.01, rel=0.15) and not state
    assert not torch.equal(watch.heads[0], watch.heads[1])
    assert not (watch.labels[0] == watch.labels[1]).all()
    momenta = {group['momentum'] for group in runner.optim_wrapper.param_groups}
    assert momenta == {0.9, 0.0}


def test_every_labelling_draws_its_own_augmentations(tmp_path, monkeypatch):
    epochs, set_epoch = [], module.EpochSampler.set_epoch

    def noted(sampler, epoch):
        epochs.append(epoch)
        set_epoch(sampler, epoch)

    monkeypatch.setattr(module.EpochSampler, 'set_epoch', noted)
    build_runner(tiny_config(tmp_path, **CHANGES, custom_hooks=[HOOK])).train()
    labellings = [epoch for epoch in epochs if epoch >= module._LABEL_EPOCH]
    assert len(labellings) == len(set(labellings)) == 3


def test_scores_are_logged(watched):
    from mmssl.visualization.curves import series  # here, for processes that this file starts: it imports matplotlib

    runner, watch = watched
    entries = read_scalars(Path(runner.log_dir, 'vis_data', 'scalars.json'))
    steps, values = series(entries, 'nmi')
    assert steps == [0, 6, 12] and all(0 <= value <= 1 for value in values)
    assert series(entries, 'nmi_previous')[0] == [6, 12]
    expected = agreement(watch.labels[1][0], watch.labels[0][0])['nmi']
    assert series(entries, 'nmi_previous')[1][0] == pytest.approx(expected)


def test_a_resumed_run_ends_in_the_same_bits(tmp_path):
    assert_resume_is_exact(tmp_path, custom_hooks=[HOOK], **CHANGES)


EACH_EPOCH = dict(default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)))


class KillAfterLabels(Hook):
    """Stores the labels of the second epoch, and kills the process before its first iteration."""

    priority = 'LOWEST'

    def before_train_epoch(self, runner) -> None:
        if runner.epoch == 1:
            (hook,) = (hook for hook in runner.hooks if isinstance(hook, PseudoLabelsHook))
            np.save(Path(runner.work_dir, 'made.npy'), hook.labels)
            os.kill(os.getpid(), signal.SIGKILL)


def train_until_killed(folder: str) -> None:
    torch.set_num_threads(1)
    runner = build_runner(tiny_config(folder, **CHANGES, **EACH_EPOCH, custom_hooks=[HOOK]))
    runner.register_hook(KillAfterLabels())
    runner.train()


def test_a_run_killed_between_labelling_and_training_ends_in_the_same_bits(tmp_path, watched):
    killed = start_process(train_until_killed, str(tmp_path))
    assert exit_codes(killed) == [-signal.SIGKILL]
    assert (tmp_path / 'last_checkpoint').read_text().endswith('epoch_1.pth')
    assert (np.load(tmp_path / 'made.npy') == watched[1].labels[1]).all()
    resumed, watch = (
        build_runner(tiny_config(tmp_path, **CHANGES, **EACH_EPOCH, custom_hooks=[HOOK], resume=True)),
        Watch(),
    )
    resumed.register_hook(watch)
    resumed.train()
    assert len(watch.labels) == 2 and (watch.labels[0] == watched[1].labels[1]).all()
    for name, tensor in watched[0].model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], tensor), name


def test_a_test_makes_no_labels(tmp_path):
    plain = dict(LOADER, sampler=dict(type='EpochSampler', shuffle=False), drop_last=False)
    plain['dataset'] = dict(type='LabelledNoise', num_images=8, transform=HOOK['transform'])
    validation = dict(
        val_dataloader=plain,
        val_cfg=dict(type='EmbeddingValLoop', bank_dataloader=plain),
        val_evaluator=dict(type='EmbeddingEvaluator', metrics=[dict(type='EmbeddingStatistics')]),
    )
    cfg = ConfigDict(tiny_config(tmp_path, **CHANGES, **validation, custom_hooks=[HOOK]))
    _keep_test_parts(cfg)
    assert build_runner(cfg).test()['embedding_std'] > 0


@pytest.mark.parametrize(
    ('changes', 'hook', 'message'),
    [
        (dict(model=dict(MODEL)), dict(HOOK, transform=None), 'needs transform='),
        ({}, dict(HOOK, labeller=dict(type='KMeansLabeller', num_clusters=7)), '1 heads of 5 clusters.* makes 1 of 7'),
        (
            dict(model=dict(MODEL, head=dict(type='LinearClsHead', in_channels=64, num_classes=5))),
            HOOK,
            'DeepCluster needs a ClusterHead as model.head, got LinearClsHead',
        ),
        ({}, dict(HOOK, labeller=dict(type='TransportLabeller', num_clusters=5)), 'which DeepCluster does not make'),
        ({}, dict(HOOK, labeller=dict(HOOK['labeller'], num_crops=2)), 'DeepCluster needs num_crops=1 in .*; got 2'),
        (
            dict(model=dict(MODEL, head=dict(MODEL['head'], num_clusters=50))),
            dict(HOOK, labeller=dict(type='KMeansLabeller', num_clusters=50)),
            '26 images cannot make 50 clusters',
        ),
        (dict(model=None), HOOK, 'MoCo takes no labels'),
    ],
)
def test_mistakes_end_the_run_before_its_first_iteration(tmp_path, changes, hook, message):
    changes = CHANGES | changes
    if changes['model'] is None:
        changes = {}
    with pytest.raises((UserError, ValueError), match=message):
        train(tiny_config(tmp_path, **changes, custom_hooks=[hook]))


def test_a_labelling_of_imagenet_fits_16_gib_and_the_estimate_holds_at_a_hundredth():
    hook = PseudoLabelsHook(dict(type='KMeansLabeller', num_clusters=10_000, whiten=256), transform={})
    parts = hook.estimate(1_281_167, SimpleNamespace(label_width=4096))
    assert parts['features, in a file'] == 4 * 1_281_167 * 4096
    assert memory_of(parts) < 16 * 2**30
    words = PseudoLabelsHook(dict(type='KMeansLabeller', num_clusters=16_000), transform={})
    assert memory_of(words.estimate(1_281_167, SimpleNamespace(label_width=2048))) < 16 * 2**30

    features = np.random.default_rng(0).normal(size=(12_811, 512)).astype(np.float32)
    labeller = KMeansLabeller(100, whiten=32, num_iterations=2)
    estimate = sum(labeller.memory(*features.shape).values())
    labeller.label(features[:500], seed=0)  # libraries are loaded
    release_freed_memory()  # or the labelling would use again what earlier tests have freed
    with ResidentMemory() as memory:
        labeller.label(features, seed=0)
    assert 0.2 * estimate < memory.peak < estimate


def test_images_without_features_have_no_label_and_are_not_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'chunk_rows', lambda width: 3)
    vectors = np.arange(20, dtype=np.float32).reshape(10, 2)
    seen = np.array([1, 1, 0, 1, 0, 0, 1, 1, 1, 0], bool)
    expected = vectors[seen]
    assert (module._seen_rows(Rows(vectors, seen)) == expected).all()

    class Unreadable(LabelledNoise):
        def _load(self, row: int) -> np.ndarray:
            if row == 7:
                raise UnreadableImageError('damaged')
            return super()._load(row)

    runner = build_runner(tiny_config(tmp_path, **CHANGES, custom_hooks=[dict(HOOK, memory_limit=100)], max_epochs=1))
    runner.train_dataloader.dataset.__class__ = Unreadable
    runner.train()
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, PseudoLabelsHook))
    assert np.flatnonzero(hook.labels[0] < 0).tolist() == [7]
    assert not list((tmp_path / 'labels').iterdir())  # the file of features is removed


@pytest.mark.parametrize(('batch_size', 'drop_last', 'unlabelled'), [(32, False, 0), (8, False, 0), (8, True, 2)])
def test_a_labelling_in_training_mode_has_the_batches_of_an_epoch(tmp_path, batch_size, drop_last, unlabelled):
    model, labeller = dict(MODEL, type='SeLa'), dict(type='TransportLabeller', num_clusters=5)
    loader = dict(LOADER, sampler=dict(type='EpochSampler'), batch_size=batch_size, drop_last=drop_last)
    changes = CHANGES | dict(model=model, train_dataloader=loader)
    runner = build_runner(
        tiny_config(tmp_path, **changes, custom_hooks=[dict(type='PseudoLabelsHook', labeller=labeller)], max_epochs=1)
    )
    runner.train()
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, PseudoLabelsHook))
    assert (hook.labels < 0).sum() == unlabelled


class ResidentMemory:
    """The largest growth of this process's memory while the context lasts, in bytes."""

    def __enter__(self) -> ResidentMemory:
        self.start, self.peak, self.running = resident(), 0, True
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while self.running:
            self.peak = max(self.peak, resident() - self.start)
            time.sleep(1e-3)

    def __exit__(self, *args: object) -> None:
        self.running = False
        self.thread.join()


def release_freed_memory() -> None:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def resident() -> int:
    return int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()


def memory_of(parts: dict[str, int]) -> int:
    return sum(size for name, size in parts.items() if 'in a file' not in name)


def _labels_of_a_share(model: dict, labeller: dict) -> np.ndarray:
    """The labels that the processes make together of 24 images, 8 a batch over all of them."""
    torch.set_default_dtype(torch.float32)
    algorithm = convert_sync_batchnorm(ALGORITHMS.build(model))
    algorithm.init_weights()
    dataset = LabelledNoise(num_images=24, views=[dict(type='AugmentedView', size=16)], seed=0)
    sampler = EpochSampler(dataset, seed=0)
    loader = DataLoader(dataset, 8 // world_size(), sampler=sampler, collate_fn=collate_views, drop_last=True)
    runner = SimpleNamespace(
        algorithm=algorithm, train_loop='any', train_dataloader=loader, seed=0, iter=0, max_epochs=1, work_dir='.',
        optim_wrapper=SimpleNamespace(optimizer=torch.optim.SGD(algorithm.parameters(), lr=0.1)),
        visualizer=SimpleNamespace(add_scalars=lambda *args, **kwargs: None),
        logger=logging.getLogger(),
    )  # fmt: skip
    hook = PseudoLabelsHook(labeller, HOOK['transform'])
    hook.before_run(runner)
    hook.before_train_epoch(runner)
    return hook.labels


@pytest.mark.parametrize(
    ('model', 'labeller'),
    [
        (MODEL, dict(HOOK['labeller'], backend='torch')),
        (dict(MODEL, type='SeLa'), dict(type='TransportLabeller', num_clusters=5)),
    ],
)
def test_several_processes_make_the_labels_of_one(model, labeller):
    (alone,) = run_distributed(_labels_of_a_share, 1, model, labeller)
    assert len(set(alone[0])) == 5
    for processes in (2, 4):
        for labels in run_distributed(_labels_of_a_share, processes, model, labeller):
            assert (labels == alone).all()


def _no_features(model: DeepCluster, images: Tensor) -> Tensor:
    return torch.full((len(images), 64), torch.nan)


def test_features_that_are_not_finite_end_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(DeepCluster, 'label_features', _no_features)
    with pytest.raises(
        UserError, match='labels cannot be computed at iteration 0: the features of row 0 are not finite'
    ):
        train(tiny_config(tmp_path, **CHANGES, custom_hooks=[HOOK]))


def _fail_to_label() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeepCluster, 'label_features', _no_features)
        try:
            _labels_of_a_share(MODEL, HOOK['labeller'])
        except UserError as error:
            return str(error)
    return ''


def test_a_labelling_that_fails_ends_every_process():
    for message in run_distributed(_fail_to_label, 2):
        assert 'labels cannot be computed at iteration 0: the features of row 0 are not finite' in message


def test_an_unknown_precision_is_refused_before_the_run():
    with pytest.raises(UserError, match="must be 'bf16' or 'fp16', got 'half'"):
        PseudoLabelsHook(HOOK['labeller'], dtype='half')
    assert PseudoLabelsHook(HOOK['labeller'], dtype='bf16').dtype == 'bfloat16'


def test_labels_that_move_at_every_step_are_read_from_the_model(tmp_path):
    text = (
        "custom_hooks = [dict(type='mmssl.PseudoLabelsHook')]\n"
        'train_dataloader = dict(dataset=dict(views=[dict(size=8)]))'
    )
    labels = dict(labels=torch.tensor([[0, 0, 1]]), iteration=0)
    content = dict(state_dict={}, meta=dict(cfg=text), pseudo_labels=labels)
    torch.save(content, tmp_path / 'fixed.pth')
    content['state_dict']['clusters.labels'] = torch.tensor([1, 0, 1])
    torch.save(content, tmp_path / 'moved.pth')
    found = [module.read_labelled(str(tmp_path / f'{name}.pth'))[1].tolist() for name in ('fixed', 'moved')]
    assert found == [[[0, 0, 1]], [[1, 0, 1]]]

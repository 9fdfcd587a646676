"""The classifier: what a probe leaves alone, what fine-tuning trains, labels, the averaged weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import Tensor
from torch.testing import assert_close

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.layers.sync_batch_norm import convert_sync_batchnorm
from mmssl.registry import ALGORITHMS
from tests.support.distributed import run_distributed
from tests.support.interruption import assert_resume_is_exact
from tests.support.tiny_run import tiny_config, train

BACKBONE = dict(type='ResNet', depth=18, width=0.125, stem='small')
HEAD = dict(type='LinearClsHead', in_channels=64, num_classes=10)
VIT = dict(
    type='VisionTransformer',
    arch=dict(embed_dim=24, depth=2, num_heads=3),
    img_size=16,
    patch_size=8,
    output='mean',
    final_norm=False,
)


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope('mmssl')


def build(**options: Any):
    slots = dict(backbone=BACKBONE, neck=dict(type='Identity'), head=HEAD)
    return ALGORITHMS.build(dict(type='ImageClassifier', **{**slots, **options})).train()


def batch(labels: int = 10) -> tuple[list[Tensor], dict[str, Tensor]]:
    return [torch.randn(8, 3, 16, 16)], dict(label=torch.arange(8) % labels, index=torch.arange(8))


def test_loss_is_the_heads():
    model, (views, samples) = build(), batch()
    features = model.backbone(views[0])[-1].mean((2, 3))
    expected = torch.nn.functional.cross_entropy(model.head.fc(features), samples['label'])
    assert_close(model.loss(views, samples)['loss'], expected)
    assert_close(model.eval()(views[0], mode='predict'), model.predict(views[0]))
    assert_close(model.extract_feat(views[0]), model.backbone(views[0])[-1].mean((2, 3)))


def test_a_probe_leaves_trunk_and_running_statistics_bitwise_alone():
    neck = dict(type='MLPProjector', in_channels=64, hidden_channels=16, out_channels=64)
    model = build(frozen=True, neck=neck, head=dict(HEAD, norm='batch'))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    wrapper = dict(optimizer=dict(type='SGD', lr=1.0, weight_decay=0.1), constructor='GroupedOptimWrapperConstructor')
    wrapper = build_optim_wrapper(model, wrapper)
    held = {id(p) for group in wrapper.param_groups for p in group['params']}
    assert held == {id(p) for p in model.head.parameters()}
    for _ in range(3):
        wrapper.update_params(model.train().loss(*batch())['loss'])
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) != name.startswith('head.'), name
    assert model.head.training and not model.backbone.training and not model.neck.training
    assert all(p.grad is None for p in model.backbone.parameters())


def test_fine_tuning_reaches_every_parameter():
    head = dict(HEAD, in_channels=24, norm='layer')
    model = build(backbone=VIT, head=head, mix=dict(type='BatchMix', num_classes=10))
    model.loss(*batch())['loss'].backward()
    assert all(p.grad is not None for p in model.parameters())
    assert 'backbone.norm.weight' not in model.state_dict() and 'head.norm.weight' in model.state_dict()


def test_batches_are_coupled_where_a_batch_norm_trains():
    assert build().batch_coupled and build(frozen=True, head=dict(HEAD, norm='batch')).batch_coupled
    assert build(frozen=True).batch_coupled is None
    assert build(backbone=VIT, head=dict(HEAD, in_channels=24, norm='layer')).batch_coupled is None


def test_labels_must_be_classes():
    views, samples = batch()
    with pytest.raises(ValueError, match='no label'):
        build().loss(views, dict(label=torch.full((8,), -1)))
    with pytest.raises(ValueError, match='label 7 needs a head with num_classes > 7, got num_classes=7'):
        build(head=dict(HEAD, num_classes=7)).loss(views, samples)


def test_averaged_weights_are_what_is_evaluated():
    model = build(average=dict(momentum=0.75, schedule='constant'))
    model.on_train_start()
    start = {name: p.detach().clone() for name, p in model.head.named_parameters()}
    for part in (model.backbone, model.head):
        for parameter in part.parameters():
            parameter.data.add_(1.0)
    model.loss(*batch())  # moves running statistics
    model.on_step_end(0.5)
    for name, p in model.average.head.named_parameters():
        assert_close(p, start[name] + 0.25)
    buffers = dict(model.backbone.named_buffers())
    assert all(torch.equal(b, buffers[name]) for name, b in model.average.backbone.named_buffers())
    model.eval()
    images = batch()[0][0]
    averaged = model.average.head.predict(model.average.backbone(images))
    assert torch.equal(model.predict(images), averaged)
    assert not torch.equal(averaged, model.head.predict(model.backbone(images)))
    assert not any(p.requires_grad for p in model.average.parameters())


LOADER = dict(
    sampler=dict(type='EpochSampler'),
    collate_fn=dict(type='collate_views'),
    batch_size=4,
    drop_last=True,
    num_workers=0,
)
VIEW = dict(type='SupervisedView', size=16, rand_augment='rand-m9-mstd0.5-inc1', erase=0.5)


def run(**options: Any) -> dict:
    slots = dict(backbone=VIT, neck=dict(type='Identity'), head=dict(HEAD, in_channels=24, norm='layer'))
    slots['backbone'] = dict(VIT, drop_path_rate=0.3)
    model = dict(type='ImageClassifier', data_preprocessor=dict(type='SelfSupDataPreprocessor'), **slots)
    dataset = dict(type='LabelledNoise', num_images=26)
    return dict(
        model=dict(model, **options),
        train_dataloader=dict(LOADER, dataset=dict(dataset, views=[VIEW])),
        val_dataloader=dict(
            batch_size=4,
            sampler=dict(type='EpochSampler', shuffle=False),
            collate_fn=dict(type='collate_views'),
            num_workers=0,
            dataset=dict(dataset, transform=dict(type='CenterCropView', size=16)),
        ),
        val_cfg=dict(type='AccuracyValLoop'),
        val_evaluator=dict(type='AccuracyEvaluator', num_best=(1, 3)),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-2)),
    )


def test_resume_is_exact_with_every_random_part(tmp_path: Path):
    assert_resume_is_exact(
        tmp_path, **run(mix=dict(type='BatchMix', num_classes=10), average=dict(momentum=0.9, schedule='constant'))
    )


def test_resume_of_a_probe_is_exact(tmp_path: Path):
    cfg = run(frozen=True, backbone=BACKBONE, head=dict(HEAD, norm='batch', logit_norm=True))
    assert_resume_is_exact(tmp_path, **cfg)


def _step_on_a_share(frozen: bool) -> dict[str, Tensor]:
    """Gradients and running statistics of the head after a step on this process's share of a batch."""
    model = convert_sync_batchnorm(build(frozen=frozen, head=dict(HEAD, norm='batch', logit_norm=True)))
    (images,), samples = batch()
    mine = slice(rank(), None, world_size())
    model.loss([images[mine]], dict(label=samples['label'][mine]))['loss'].backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    for gradient in found.values():
        dist.all_reduce(gradient)
        gradient /= world_size()
    return {**found, **dict(model.head.named_buffers())}


@pytest.mark.parametrize('frozen', [True, False])
def test_processes_share_a_batch_without_changing_the_step(frozen: bool):
    (alone,) = run_distributed(_step_on_a_share, 1, frozen)
    assert any(name.startswith('backbone.') for name in alone) != frozen
    for result in run_distributed(_step_on_a_share, 2, frozen):
        assert result.keys() == alone.keys()
        for name, value in alone.items():
            assert_close(result[name], value, rtol=1e-8, atol=1e-10, msg=lambda m, n=name: f'{n}: {m}')


def test_workers_do_not_change_a_run(tmp_path: Path):
    states = []
    for workers in (0, 2):
        cfg = tiny_config(tmp_path / str(workers), **run(), max_epochs=1)
        cfg['train_dataloader']['num_workers'] = workers
        states.append(train(cfg).model.state_dict())
    assert all(torch.equal(states[0][name], value) for name, value in states[1].items())


def test_best_epoch_and_accuracies(tmp_path: Path):
    hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1, save_best='top1'))
    runner = train(tiny_config(tmp_path, **run(), default_hooks=hooks))
    assert len(list(tmp_path.glob('best_top1_epoch_?.pth'))) == 1 and (tmp_path / 'epoch_3.pth').is_file()
    results = runner.val_loop.run()
    assert 0 <= results['top1'] <= results['top3'] <= 100
    runner.model.eval()
    right = 0
    for data in runner.val_loop.dataloader:
        data = runner.model.data_preprocessor(data)
        right += int((runner.model.predict(data['inputs']).argmax(1) == data['data_samples']['label']).sum())
    assert results['top1'] == pytest.approx(100 * right / 26)


def test_a_new_run_begins_with_the_first_random_start_of_an_attack():
    model, (views, samples) = build(attack=dict(type='PGDAttack', num_steps=1)), batch()
    model.on_train_start()
    first = model.attack(model, views[0], samples['label'], samples['index'])
    model.on_step_end(0.5)
    loaded = build(attack=dict(type='PGDAttack', num_steps=1))
    loaded.load_state_dict(model.state_dict())
    loaded.on_train_start()
    assert_close(loaded.attack(loaded, views[0], samples['label'], samples['index']), first)

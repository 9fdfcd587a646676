"""IGAM: what its losses are, when it matches gradients, who moves, and that processes and resuming change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from torch import Tensor
from torch.testing import assert_close

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.algorithms.igam import IGAM
from mmssl.models.algorithms.image_classifier import ImageClassifier
from mmssl.models.layers.input_gradient import input_gradient
from mmssl.models.layers.sync_batch_norm import convert_sync_batchnorm
from mmssl.utils.errors import UserError
from tests.support.distributed import run_distributed
from tests.support.interruption import assert_resume_is_exact
from tests.support.tiny_run import build_runner, tiny_config

NETWORK = dict(type='ResNet', depth=18, stem='small', width=0.125)
HEAD = dict(type='LinearClsHead', in_channels=64, num_classes=10, init_std=0.5)
PIXELS = dict(type='SelfSupDataPreprocessor', mean=[0, 0, 0], std=[1, 1, 1])


def adapted(**network: Any) -> dict:
    return dict(type='AdaptedInput', steps=[dict(type='PerImageNorm')], network=dict(NETWORK, **network))


def config(**options: Any) -> dict:
    slots = dict(backbone=adapted(), neck=dict(type='Identity'), head=HEAD)
    teacher = dict(type='FrozenClassifier', backbone=adapted(), head=HEAD)
    discriminator = dict(type='GradientDiscriminator', image_size=16, num_layers=2, base_channels=4)
    return dict(slots, teacher=teacher, discriminator=discriminator, matching_start=0.0) | options


def build(**options: Any) -> IGAM:
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmssl'):
        return IGAM(**config(**options)).train()


def batch(size: int = 8) -> tuple[list[Tensor], dict[str, Tensor]]:
    images = torch.rand(size, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 255
    return [images], dict(label=torch.arange(size) % 10, index=torch.arange(size))


def total(losses: dict[str, Tensor]) -> Tensor:
    return sum(losses.values())


@pytest.mark.parametrize('target', ['probability', 'cross_entropy', 'logit'])
def test_every_target_gives_gradients_to_student_and_discriminator_alone(target: str):
    model = build(grad_target=target)
    losses = model.loss(*batch())
    first = model.backbone.network.conv1.weight
    (second_order,) = torch.autograd.grad(losses['loss_difference'], first, retain_graph=True)
    assert second_order.abs().max() > 0
    total(losses).backward()
    trained = {name.split('.')[0] for name, p in model.named_parameters() if p.grad is not None}
    assert trained == {'backbone', 'head', 'discriminator'}
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_gradients_of_a_network():
    model = build().double().eval()
    (images,), samples = batch()
    images, labels = images.double().requires_grad_(), samples['label']
    logits = model.predict(images)
    found = {t: input_gradient(logits, labels, images, t, True) for t in ('probability', 'cross_entropy', 'logit')}
    share = logits.softmax(dim=1).gather(1, labels[:, None])[:, :, None, None]
    assert_close(found['cross_entropy'], -found['probability'] / share, rtol=1e-6, atol=1e-14)
    assert (found['logit'] - found['probability']).abs().max() > 0
    # the network sees neither the mean nor the length of an image
    scale = found['logit'].abs().sum(dim=(1, 2, 3))
    centred = images - images.mean(dim=(1, 2, 3), keepdim=True)
    assert (found['logit'].sum(dim=(1, 2, 3)).abs() < 1e-6 * scale).all()
    assert ((found['logit'] * centred).sum(dim=(1, 2, 3)).abs() < 1e-6 * scale * 255).all()


def test_a_student_that_is_its_teacher_has_no_distance():
    model = build().double().eval()
    model.teacher.backbone.load_state_dict(model.backbone.state_dict())
    model.teacher.head.load_state_dict(model.head.state_dict())
    views, samples = batch()
    losses = model.loss([views[0].double()], samples)
    assert losses['loss_difference'] == 0
    assert (torch.autograd.grad(losses['loss_difference'], model.head.fc.weight)[0] == 0).all()


def test_the_student_raises_what_the_discriminator_lowers():
    model, (views, samples) = build(difference_weight=0.0), batch()
    before = model.loss(views, samples)['loss_discriminator']
    gradients = torch.autograd.grad(before, [p for p in model.parameters() if p.requires_grad], allow_unused=True)
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    for part, rises in (('backbone', True), ('discriminator', False)):
        moved = [(p, g) for (name, p), g in zip(trained, gradients) if name.startswith(part)]
        lr = 1e-3 / max(g.abs().max() for _, g in moved)
        for p, g in moved:
            p.data -= lr * g
        assert (model.loss(views, samples)['loss_discriminator'] > before) == rises
        for p, g in moved:
            p.data += lr * g


def test_matching_is_in_full_precision_under_autocast():
    model, data = build(), batch()
    expected = model.loss(*data)
    with torch.autocast('cpu', torch.bfloat16):
        found = model.loss(*data)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_without_weights_it_is_plain_training():
    options = dict(adversarial_weight=0.0, difference_weight=0.0)
    plain_options = dict(backbone=adapted(), neck=dict(type='Identity'), head=HEAD)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmssl'):
        plain = ImageClassifier(**plain_options).train()
    model = build(**options)
    for network in (model, plain):
        optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            total(network.loss(*batch())).backward()
            optimizer.step()
    for name, tensor in plain.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_accumulated_batches_are_their_sum():
    """But for batch norms: those of the student are fixed here, and the discriminator, which has some, is left out."""
    model = build(backbone=adapted(norm_eval=True), adversarial_weight=0.0, noise=8.0)
    (images,), samples = batch()
    parameters = [*model.backbone.parameters(), *model.head.parameters()]
    whole = torch.autograd.grad(total(model.loss([images], samples)), parameters)
    halves = [slice(0, 4), slice(4, 8)]
    parts = [total(model.loss([images[h]], {k: v[h] for k, v in samples.items()})) for h in halves]
    for one, other in zip(whole, torch.autograd.grad(sum(parts) / 2, parameters)):
        assert_close(other, one, rtol=1e-3, atol=1e-5 * one.abs().max().item())


def _step_on_a_share(attack: bool) -> dict[str, Tensor]:
    if attack:
        slots = dict(backbone=adapted(), neck=dict(type='Identity'), head=HEAD)
        with DefaultScope.overwrite_default_scope('mmssl'):
            torch.manual_seed(0)
            model = ImageClassifier(**slots, attack=dict(type='PGDAttack', num_steps=2)).train()
    else:
        model = build(noise=8.0)
    convert_sync_batchnorm(model, second_order=not attack)
    (images,), samples = batch()
    mine = slice(rank(), None, world_size())
    losses = model.loss([images.double()[mine]], {name: x[mine] for name, x in samples.items()})
    total(losses).backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    for tensor in found.values():
        dist.all_reduce(tensor)
        tensor /= world_size()
    return {**found, **{name: x for name, x in model.named_buffers() if 'running' in name}}


@pytest.mark.parametrize('attack', [False, True], ids=['igam', 'adversarial_training'])
def test_processes_share_a_batch_without_changing_the_step(attack: bool):
    (alone,) = run_distributed(_step_on_a_share, 1, attack)
    for result in run_distributed(_step_on_a_share, 2, attack):
        assert result.keys() == alone.keys()
        for name, value in alone.items():
            atol = 1e-7 * max(value.abs().max().item(), 1e-3)
            assert_close(result[name], value, rtol=0, atol=atol, msg=lambda m, n=name: f'{n}: {m}')


def run(**changes: Any) -> dict:
    view = dict(type='PaddedCropView', size=16, padding=2)
    return dict(
        model=dict(type='IGAM', data_preprocessor=PIXELS, **config(noise=8.0, matching_start=0.4, **changes)),
        train_dataloader=dict(
            dataset=dict(type='LabelledNoise', num_images=26, views=[view]),
            sampler=dict(type='EpochSampler'),
            collate_fn=dict(type='collate_views'),
            batch_size=4,
            drop_last=True,
            num_workers=0,
        ),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=2e-4)),
    )


def test_resume_is_exact_where_matching_begins(tmp_path: Path):
    assert_resume_is_exact(tmp_path, **run(discriminator_interval=2))


class Watch(Hook):
    """Notes whether gradients are matched, which weights the discriminator has, and the teacher at the start."""

    def __init__(self) -> None:
        self.matched: list[bool] = []
        self.weights: list[Tensor] = []

    def before_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        if runner.iter == 0:
            self.teacher = teacher_state(runner.model)
        self.matched.append(runner.model.matches)
        self.weights.append(runner.model.discriminator.fc.weight.detach().clone())


def teacher_state(model: IGAM) -> dict[str, Tensor]:
    named = [*model.teacher.named_parameters(), *model.teacher.named_buffers()]
    return {name: tensor.detach().clone() for name, tensor in named}


def test_who_moves_in_which_step(tmp_path: Path):
    teacher = dict(config()['teacher'], statistics='batch')
    runner = build_runner(tiny_config(tmp_path, **run(teacher=teacher, discriminator_interval=3)))
    watch = Watch()
    runner.register_hook(watch)
    runner.train()
    weights = [*watch.weights, runner.model.discriminator.fc.weight]
    assert watch.matched == [step >= 0.4 * 18 for step in range(18)]
    moved = [not torch.equal(one, other) for one, other in zip(weights, weights[1:])]
    assert moved == [step >= 0.4 * 18 and step % 3 == 0 for step in range(18)]
    for name, tensor in teacher_state(runner.model).items():
        assert torch.equal(tensor, watch.teacher[name]), name
    assert not any(name.startswith('teacher.') and name.endswith('weight') for name in runner.model.state_dict())


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            dict(discriminator=dict(type='GradientDiscriminator', num_layers=2, base_channels=4)),
            r'model.discriminator.image_size=32 and .*views.0.size=16 must be equal',
        ),
        (
            dict(teacher=dict(config()['teacher'], head=dict(HEAD, num_classes=20))),
            'model.teacher.head.num_classes=20 and model.head.num_classes=10 must be the same number',
        ),
    ],
)
def test_parts_that_first_work_late_in_the_run_are_compared_before_it(tmp_path: Path, changes: dict, message: str):
    with pytest.raises(UserError, match=message):
        build_runner(tiny_config(tmp_path, **run(**changes))).train()


def test_the_teacher_is_read_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    with DefaultScope.overwrite_default_scope('mmssl'):
        classifier = ImageClassifier(backbone=adapted(), neck=dict(type='Identity'), head=HEAD)
    torch.save(dict(state_dict=classifier.state_dict()), tmp_path / 'teacher.pth')
    model = build(teacher=dict(config()['teacher'], checkpoint='~/teacher.pth'))
    model.init_weights()
    images = batch()[0][0]
    assert torch.equal(model.teacher(images), classifier.eval().predict(images))
    missing = build(teacher=dict(config()['teacher'], checkpoint=str(tmp_path / 'none.pth')))
    with pytest.raises(ValueError, match='none.pth, does not exist'):
        missing.init_weights()


def test_the_discriminator_follows_its_init_cfg():
    init_cfg = dict(type='Constant', val=7.0, layer='Conv2d')
    discriminator = build(discriminator=dict(config()['discriminator'], init_cfg=init_cfg)).discriminator
    discriminator.init_weights()
    assert (discriminator.convs[0].weight == 7).all() and discriminator.fc.weight.std() > 0


def test_arguments():
    for wrong in (dict(matching_start=1.0), dict(discriminator_interval=0), dict(noise=-1.0)):
        with pytest.raises(ValueError, match='needs matching_start < 1 <= discriminator_interval'):
            build(**wrong)
    with pytest.raises(ValueError, match='grad_target must be one of'):
        build(grad_target='prob')
    with pytest.raises(ValueError, match='no label'):
        build().loss(batch()[0], dict(batch()[1], label=torch.full((8,), -1)))

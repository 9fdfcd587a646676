"""IGAM and its attack against numbers recorded from the official TensorFlow graph, and restated from it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import Tensor, nn
from torch.nn import functional as F

from mmssl.config.load import load_config
from mmssl.converters.convert import rename
from mmssl.models.algorithms.igam import IGAM
from mmssl.models.components.fgsm_attack import FGSMAttack
from mmssl.models.components.pgd_attack import PGDAttack
from mmssl.models.layers.input_gradient import input_gradient
from mmssl.registry import ALGORITHMS, BACKBONES
from tests.parity.golden import CONFIGS, Golden, summary

RECIPE = CONFIGS / 'igam/igam_wideresnet32-10_1xb32-205e_cifar10_cifar100.py'
NETWORKS = {
    'igam_wrn_tf': dict(type='WideResNet', depth=32, width_factor=1, variant='madry'),
    'igam_losses_restated': dict(type='TwoConvs'),
    'igam_losses_unit_restated': dict(type='TwoConvs'),
}
_STEP = 0.1  # lr of the recorded step


@BACKBONES.register_module()
class TwoConvs(nn.Module):
    """The network of the restated cases: two convolutions with batch norms and leaky ReLUs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8, eps=1e-3)
        self.conv2, self.bn2 = nn.Conv2d(8, 16, 3, stride=2, bias=False), nn.BatchNorm2d(16, eps=1e-3)

    def forward(self, images: Tensor) -> tuple[Tensor]:
        x = F.leaky_relu(self.bn1(self.conv1(images)), 0.1)
        return (F.leaky_relu(self.bn2(self.conv2(F.pad(x, (0, 1, 0, 1)))), 0.1),)


def ours(name: str) -> str | None:
    """Our name of a recorded one: an official name, or one of the restated cases."""
    if name.startswith('disc.'):
        return re.sub(r'^disc\.(?:(conv|bn)(\d)|(fc))', lambda m: f'discriminator.{_list(m)}', name)
    if name.startswith('student.') or re.match(r'teacher\.(conv|bn|fc)', name):
        prefix = 'teacher.' if name.startswith('teacher.') else ''
        part = 'head' if '.fc.' in name else 'backbone.network'
        return f'{prefix}{part}.{name.split(".", 1)[1]}'
    return rename(name, 'igam')


def _list(match: re.Match) -> str:
    return 'fc' if match[3] else f'{dict(conv="convs", bn="norms")[match[1]]}.{match[2]}'


class Case:
    """A recorded case: its model with the recorded weights, in float64, at a step that matches gradients."""

    def __init__(self, golden: Golden, **changes: Any) -> None:
        self.golden, self.literals = golden, golden.literals
        sizes = dict(golden.record['state_dict'])
        self.names = {ours(name): name for name in sizes if ours(name) is not None}
        classes, width = sizes[self.names['head.fc.weight']]
        head = dict(in_channels=width, num_classes=classes)
        convs = [name for name in self.names if name.startswith('discriminator.convs') and name.endswith('weight')]
        self.channels = sizes[self.names[max(convs)]][0]
        network = NETWORKS[golden.record['case']]
        cfg = load_config(RECIPE).model
        cfg.update(matching_start=0.0, noise=0.0, adversarial_weight=self.literals['beta'], **changes)
        cfg.difference_weight = self.literals['gamma'] * len(self.literals['labels'])
        cfg.discriminator.update(num_layers=len(convs), base_channels=sizes[self.names[min(convs)]][0])
        cfg.teacher.statistics = 'batch'
        for part in (cfg, cfg.teacher):
            part.head.update(head)
            part.backbone.network = network
        with DefaultScope.overwrite_default_scope('mmssl'):
            self.model: IGAM = ALGORITHMS.build({**cfg, 'data_preprocessor': None}).double().train()
        recorded = golden.state_dict()
        parameters = dict(self.model.named_parameters())
        assert parameters.keys() == self.names.keys()
        for name, parameter in parameters.items():
            parameter.data.copy_(self.in_our_order(name, recorded[self.names[name]]))
        self.images = 127.5 + 60 * golden.inputs()['images']
        self.images = self.images.clamp(0, 255)
        if 'unit' in golden.record['case']:
            self.images = self.images / 255
        self.labels = torch.tensor(self.literals['labels'])

    def in_our_order(self, name: str, tensor: Tensor) -> Tensor:
        """The discriminator's last layer takes (channel, row, column) here, and (row, column, channel) there."""
        return tensor.unflatten(1, (-1, self.channels)).mT.flatten(1) if name == 'discriminator.fc.weight' else tensor

    def in_recorded_order(self, name: str, tensor: Tensor) -> Tensor:
        return tensor.unflatten(1, (self.channels, -1)).mT.flatten(1) if name == 'discriminator.fc.weight' else tensor

    def kernels(self, prefix: str) -> Tensor:
        """Half the squares of all weights with two and more dimensions."""
        named = self.model.named_parameters()
        return sum(p.square().sum() / 2 for name, p in named if name.startswith(prefix) and p.ndim > 1)

    def losses(self) -> dict[str, Tensor]:
        return self.model.loss([self.images], dict(label=self.labels, index=torch.arange(len(self.labels))))

    def run(self) -> dict[str, dict[str, Any]]:
        """Losses and gradients of all terms, as they are recorded."""
        beta, decay = self.literals['beta'], self.literals['weight_decay']
        found = self.losses()
        terms = dict(
            xent=found['loss_classification'],
            disc_xent=found['loss_discriminator'],
            l_diff=found['loss_difference'] / self.literals['gamma'],
        )
        parameters = dict(self.model.named_parameters())
        student = {n: p for n, p in parameters.items() if n.startswith(('backbone.', 'head.'))}
        discriminator = {n: p for n, p in parameters.items() if n.startswith('discriminator.')}
        grads: dict[str, Any] = {}
        for term, loss in terms.items():
            scale = -1 / beta if term == 'disc_xent' else 1.0  # the gradient that the student gets is reversed
            for name, gradient in zip(student, torch.autograd.grad(loss, [*student.values()], retain_graph=True)):
                grads[f'{term}:{self.names[name]}'] = summary(gradient * scale)
        l2 = {part: sum(self.kernels(prefix) for prefix in prefixes) for part, prefixes in _DECAYED.items()}
        total = sum(found.values()) + decay * (l2['student'] + l2['discriminator'])
        for name, gradient in zip(student, torch.autograd.grad(total, [*student.values()], retain_graph=True)):
            grads[f'total:{self.names[name]}'] = summary(gradient)
        for name, gradient in zip(discriminator, torch.autograd.grad(total, [*discriminator.values()])):
            grads[f'd_total:{self.names[name]}'] = summary(self.in_recorded_order(name, gradient))
        objective = terms['xent'] - beta * terms['disc_xent'] + self.literals['gamma'] * terms['l_diff']
        return dict(losses=dict(terms, objective=objective, **l2), grads=grads)


_DECAYED = dict(student=('backbone.', 'head.'), discriminator=('discriminator.',), teacher=('teacher.',))


@pytest.mark.parametrize('name', NETWORKS)
def test_losses_and_gradients(goldens_dir, name):
    golden = Golden(goldens_dir, name)
    case = Case(golden)
    found = case.run()
    losses = {name: value.item() for name, value in found['losses'].items()}
    decay, objective = case.literals['weight_decay'], losses.pop('objective')
    student, discriminator, teacher = (losses.pop(part) for part in _DECAYED)
    recorded = golden.record['losses']
    if 'l2_in_total' in recorded:  # of the student and both heads of the teacher, one of which has no place here
        sizes = dict(golden.record['state_dict'])
        unused = golden.tensor('teacher.logit.weight') if 'teacher.logit.weight' in sizes else torch.zeros(1)
        losses['l2_in_total'] = student + teacher + unused.square().sum().item() / 2
        losses['l2_in_d_total'] = losses['l2_in_total'] + discriminator
        losses['total'] = objective + decay * losses['l2_in_total']
        losses['d_total'] = losses['disc_xent'] + decay * losses['l2_in_d_total']
    else:
        losses |= dict(l2_student=student, l2_disc=discriminator, total=objective + decay * student)
        losses['d_total'] = losses['disc_xent'] + decay * discriminator
    golden.check(dict(losses=losses, grads=found['grads']), ['losses', 'grads'])


@pytest.mark.parametrize('name', NETWORKS)
def test_outputs(goldens_dir, name):
    golden = Golden(goldens_dir, name)
    case = Case(golden)
    images, labels, model = case.images.requires_grad_(), case.labels, case.model
    student_logits, teacher_logits = model.predict(images), model.teacher(images)
    student, teacher = (
        input_gradient(logits, labels, images, create_graph=True) for logits in (student_logits, teacher_logits)
    )
    maps = torch.cat([student, teacher])
    disc_input = model.discriminator.normalize(maps)
    verdicts = model.discriminator(maps)
    xent = F.cross_entropy(verdicts, torch.arange(2).repeat_interleave(len(labels)))
    norms = {f'{name}_J_norm': J.flatten(1).norm(dim=1) for name, J in (('student', student), ('teacher', teacher))}
    norms['disc_in_norm'] = disc_input.flatten(1).norm(dim=1)
    found = dict(
        student_logits=student_logits,
        teacher_logits=teacher_logits,
        teacher_target_logits=teacher_logits,
        student_target_prob=student_logits.softmax(dim=1).gather(1, labels[:, None])[:, 0],
        teacher_target_prob=teacher_logits.softmax(dim=1).gather(1, labels[:, None])[:, 0],
        disc_logits=verdicts,
        student_J=student,
        teacher_J=teacher,
        disc_input=disc_input,
        **norms,
        **{f'{name}s'.replace('disc_in_', 'disc_input_'): value for name, value in norms.items()},
        d_disc_xent_d_J=torch.autograd.grad(xent, student, retain_graph=True)[0],
        grad_CE_sum_input=input_gradient(student_logits, labels, images, 'cross_entropy'),
    )
    recorded = golden.record['outputs']
    assert recorded.keys() <= found.keys()
    golden.check(dict(outputs={name: summary(found[name]) for name in recorded}), ['outputs'])


@pytest.mark.parametrize('name', [name for name in NETWORKS if 'losses' in name])
def test_student_after_a_step(goldens_dir, name):
    golden = Golden(goldens_dir, name)
    case = Case(golden)
    cfg = dict(load_config(RECIPE).optim_wrapper, constructor='GroupedOptimWrapperConstructor')
    cfg['optimizer'] = dict(type='SGD', lr=_STEP, weight_decay=case.literals['weight_decay'])
    with DefaultScope.overwrite_default_scope('mmssl'):
        wrapper = build_optim_wrapper(case.model, cfg)
    wrapper.update_params(sum(case.losses().values()))
    after = {case.names[n]: summary(p) for n, p in case.model.named_parameters() if n in case.names}
    golden.check(dict(after_step={n: after[n] for n in golden.record['after_step']}), ['after_step'])


class FixedStart(PGDAttack):
    """PGD from the recorded start."""

    def __init__(self, change: Tensor, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.change = change

    def _start(self, pixels: Tensor, *args: Any) -> Tensor:
        return (pixels + self.change).clamp(0, 255)


def test_attacks(goldens_dir):
    golden = Golden(goldens_dir, 'pgd_restated')
    weights, inputs, labels = golden.state_dict(), golden.inputs(), torch.tensor(golden.literals['labels'])

    def linear(x: Tensor) -> Tensor:
        return (x / 255).flatten(1) @ (weights['fc.weight'] / 16).T + weights['fc.bias']

    def conv(x: Tensor) -> Tensor:
        maps = F.leaky_relu(F.conv2d((x - 127.5) / 64, weights['conv.weight'], weights['conv.bias'], padding=1), 0.1)
        return maps.mean(dim=(2, 3)) @ weights['head.weight'].T * 4 + weights['head.bias']

    pixels = (127.5 + 70 * inputs['images']).clamp(0, 255)
    change = 4 * (inputs['start'] * inputs['start'][0].numel() ** 0.5).clamp(-2, 2)
    attacks = {'fgsm': FGSMAttack(epsilon=8)}
    attacks |= {f'pgd{k}': FixedStart(change, epsilon=8, step_size=2, num_steps=k) for k in (5, 7, 20)}
    outputs, losses = dict(x_nat=pixels, start_delta=change), {}
    for name, predict in dict(linear=linear, conv=conv).items():
        losses[f'{name}.clean_ce_sum'] = F.cross_entropy(predict(pixels), labels, reduction='sum').item()
        for attack, run in attacks.items():
            trace = run.trace(predict, pixels, labels, torch.arange(len(labels)))
            outputs |= {f'{name}.{attack}': trace.pixels, f'{name}.{attack}_delta': trace.pixels - pixels}
            losses[f'{name}.{attack}_ce_sum'] = trace.losses[-1].sum().item()
    golden.check(dict(outputs={n: summary(x) for n, x in outputs.items()}, losses=losses), ['outputs', 'losses'])

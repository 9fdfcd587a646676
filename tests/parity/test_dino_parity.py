"""DINO against numbers recorded from its official implementation."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.converters import convert, rename
from mmssl.engine.optimizers.clipping import clip_each_norm_
from mmssl.models.components.centered_softmax import CenteredSoftmax
from mmssl.models.components.positions import scaled_positions
from mmssl.models.losses.view_cross_entropy_loss import view_cross_entropy
from mmssl.models.necks.dino_projector import DINOProjector
from tests.parity.golden import Golden, Trace, summary

RECIPE = 'dino/dino_vit-small_8xb64-100e_in1k.py'
TINY = {
    'model.backbone.arch': 'tiny',
    'model.backbone.drop_path_rate': 0.0,
    'model.neck.in_channels': 192,
    'model.neck.out_channels': 1024,
    'model.targets': dict(start_temperature=0.04, temperature=0.07, warmup=0.3),
}


def test_a_step_with_views_of_two_sizes(goldens_dir):
    golden = Golden(goldens_dir, 'dino_vitt_multicrop')
    model = golden.build(RECIPE, 'dino', TINY, kept=('targets.center', 'targets.progress'))
    model.targets.progress.fill_(0.1)  # a third of the warm-up, as the recorded epoch
    assert_close(model.targets.temperature().item(), golden.literals['teacher_temp'], rtol=1e-12, atol=0)
    trace = Trace(
        features=model.backbone, logits=model.neck, t_features=model.teacher.backbone, t_logits=model.teacher.neck
    )
    loss = model.loss(list(golden.inputs().values()))['loss']
    loss.backward()
    grads = golden.gradients(model, 'dino')
    model.on_step_end(0.0)
    outputs = {
        'teacher.features': trace['t_features'][0],
        'teacher.logits': trace['t_logits'][0],
        'student.features': torch.cat(trace['features']),
        'student.logits': trace['logits'][0],
        'student.pos_embed_96': scaled_positions(model.backbone.pos_embed, (6, 6), (14, 14)),
    }
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {'total': loss.item()},
            'grads': grads,
            'after_step': golden.state(model, 'dino'),
        }
    )
    assert len(trace['features']) == 2  # forwards of the student, of 2 x 224 and 4 x 96 pixels

    names, before, after = zip(*golden.literals['clip_first6'])
    parameters = [model.get_parameter(rename(f'student.{name}', 'dino')) for name in names]
    assert_close([p.grad.norm().item() for p in parameters], list(before), rtol=1e-9, atol=0)
    clip_each_norm_(parameters, golden.literals['clip'])
    assert_close([p.grad.norm().item() for p in parameters], list(after), rtol=1e-9, atol=0)


@pytest.mark.parametrize(('case', 'options'), [('dino_head', {}), ('dino_head_bn', dict(norm=True, freeze_gain=False))])
def test_head(goldens_dir, case, options):
    golden = Golden(goldens_dir, case)
    head = DINOProjector(192, 2048, 512, **options).double().train()
    weights = convert({f'student.head.{name}': x for name, x in golden.state_dict().items()}, 'dino', part='neck')
    head.load_state_dict(head.state_dict() | weights, strict=True)
    trace = Trace(mlp=head.layers)
    inputs = golden.inputs()
    x = (inputs['x'] * 192**0.5).requires_grad_()
    y = head(x)
    loss = (y * inputs['grad_out']).sum()
    loss.backward()
    parameters = {name: head.get_parameter(_own(name)) for name in golden.record['grads']}
    assert len(parameters) == len(list(head.parameters()))
    outputs = dict(mlp=trace['mlp'][0], y=y, x_grad=x.grad)
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': {'total': loss.item()},
            'grads': {name: None if p.grad is None else summary(p.grad) for name, p in parameters.items()},
        }
    )


def _own(name: str) -> str:
    return rename(f'student.head.{name}', 'dino').removeprefix('neck.')


@pytest.mark.parametrize(('case', 'views'), [('dino_loss_4crops', 4), ('dino_loss_10crops', 10)])
def test_loss_and_center(goldens_dir, case, views):
    golden = Golden(goldens_dir, case)
    targets = CenteredSoftmax(64, temperature=0.07, start_temperature=0.04, warmup=0.4).double()
    assert golden.record['derived']['center'] == summary(targets.center)
    inputs, outputs, losses = golden.inputs(), {}, {}
    literals = golden.literals
    for call, (epoch, temperature) in enumerate(zip(literals['epochs'], literals['teacher_temps']), 1):
        targets.progress.fill_(0.4 * epoch / 3)  # recorded: four epochs, of which the fourth has the end's temperature
        assert_close(targets.temperature().item(), temperature, rtol=1e-12, atol=0)
        student, teacher = inputs[f'student{call}'].requires_grad_(), inputs[f'teacher{call}']
        outputs[f'center_before{call}'] = targets.center.clone()
        targets.stage(teacher)
        loss = view_cross_entropy(
            student.unflatten(0, (views, -1)), targets(teacher).unflatten(0, (2, -1)), literals['student_temp']
        )
        (outputs[f'student_grad{call}'],) = torch.autograd.grad(loss, student)
        targets.update(progress=1.0)
        outputs[f'center_after{call}'] = targets.center.clone()
        losses[f'loss{call}'] = loss.item()
    losses['total'] = losses['loss1']
    golden.check({'outputs': {name: summary(value) for name, value in outputs.items()}, 'losses': losses})

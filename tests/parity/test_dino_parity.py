"""DINO against numbers recorded from its official implementation."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.converters.convert import convert, rename
from mmssl.models.components.centered_softmax import CenteredSoftmax
from mmssl.models.losses.view_cross_entropy_loss import view_cross_entropy
from mmssl.models.necks.dino_projector import DINOProjector
from tests.parity.golden import Golden, Trace, summary


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

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.models.algorithms.moco import MoCo
from mmssl.models.losses.queue_contrast_loss import queue_contrast
from tests.support.small_parts import DIM, build, mlp, views


def _moco(**options) -> MoCo:
    algorithm = build(
        'MoCo',
        neck=mlp(64, norm=False, bias=True, last_bias=True),
        head=dict(type='QueueContrastLoss', temperature=0.2),
        teacher=dict(momentum=0.9, schedule='constant'),
        queue=dict(length=16, dim=DIM),
        **options,
    )
    algorithm.on_train_start()
    return algorithm


def _official_losses(algorithm: MoCo, batches: list[list[Tensor]]) -> list[Tensor]:
    """The official order: the teacher moves before it encodes, keys enter the queue after the logits."""
    student = torch.nn.Sequential(algorithm.backbone, algorithm.neck)
    teacher = torch.nn.Sequential(algorithm.teacher.backbone, algorithm.teacher.neck)
    queue, pointer, losses = algorithm.queue.features.clone(), 0, []
    optimizer = torch.optim.SGD(student.parameters(), lr=0.5)
    for x1, x2 in batches:
        queries = student(x1)
        with torch.no_grad():
            for old, new in zip(teacher.parameters(), student.parameters()):
                old.copy_(0.9 * old + 0.1 * new)
            keys = teacher(x2)
        loss = queue_contrast(queries, keys, queue.clone(), 0.2)
        queue[pointer : pointer + 8] = normalize(keys, dim=1)
        pointer = (pointer + 8) % 16
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses


def test_steps_are_those_of_the_official_order():
    algorithm, batches = _moco(), [views() for _ in range(4)]
    expected = _official_losses(deepcopy(algorithm), batches)
    optimizer = torch.optim.SGD([p for p in algorithm.parameters() if p.requires_grad], lr=0.5)
    for step, batch in enumerate(batches):
        loss = algorithm.loss(batch)['loss']
        assert_close(loss.detach(), expected[step])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        algorithm.on_step_end((step + 1) / 4)
    assert algorithm.queue.pointer == 0


def test_the_loss_leaves_queue_and_teacher_alone():
    algorithm, batch = _moco().eval(), views()
    state = {name: x.clone() for name, x in algorithm.state_dict().items()}
    first = algorithm.loss(batch)['loss']
    assert torch.equal(algorithm.loss(batch)['loss'], first)
    assert all(torch.equal(x, state[name]) for name, x in algorithm.state_dict().items())
    algorithm.on_step_end(0.5)
    assert not torch.equal(algorithm.queue.features, state['queue.features'])


def test_groups_have_norm_statistics_of_their_own():
    algorithm, batch = _moco(norm_group_size=4), views()
    algorithm.loss(batch)
    assert algorithm.teacher.backbone.bn1.num_batches_tracked == 2
    assert algorithm.backbone.bn1.num_batches_tracked == 1


def test_a_queue_that_does_not_fit_the_batch():
    with pytest.raises(ValueError, match='multiple of the global batch size 6, got 16'):
        _moco().loss(views(images=6))

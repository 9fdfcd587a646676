from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.models.algorithms.mocov3 import MoCoV3
from mmssl.models.components.ema_teacher import cosine_momentum
from mmssl.models.losses.info_nce_loss import info_nce
from tests.support.small_parts import build, predict, views


def _mocov3() -> MoCoV3:
    algorithm = build('MoCoV3', head=predict('InfoNCELoss', temperature=0.2), teacher=dict(momentum=0.9))
    algorithm.on_train_start()
    return algorithm


def _official_losses(algorithm: MoCoV3, batches: list[list[Tensor]]) -> list[Tensor]:
    """The official order: queries, then the teacher moves with the momentum of this step, then keys."""
    student = torch.nn.Sequential(algorithm.backbone, algorithm.neck)
    teacher = torch.nn.Sequential(algorithm.teacher.backbone, algorithm.teacher.neck)
    optimizer = torch.optim.SGD([*student.parameters(), *algorithm.head.parameters()], lr=0.5)
    losses = []
    for step, (x1, x2) in enumerate(batches):
        q1, q2 = (algorithm.head.predictor(student(x)) for x in (x1, x2))
        with torch.no_grad():
            m = cosine_momentum(step / len(batches), 0.9)
            for old, new in zip(teacher.parameters(), student.parameters()):
                old.copy_(m * old + (1 - m) * new)
            k1, k2 = teacher(x1), teacher(x2)
        loss = info_nce(q1, k2, 0.2) + info_nce(q2, k1, 0.2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses


def test_steps_are_those_of_the_official_order():
    algorithm, batches = _mocov3(), [views() for _ in range(4)]
    expected = _official_losses(deepcopy(algorithm), batches)
    optimizer = torch.optim.SGD([p for p in algorithm.parameters() if p.requires_grad], lr=0.5)
    for step, batch in enumerate(batches):
        loss = algorithm.loss(batch)['loss']
        assert_close(loss.detach(), expected[step])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        algorithm.on_step_end((step + 1) / len(batches))


def test_the_teacher_of_the_last_step_stays():
    algorithm = _mocov3()
    torch.nn.init.normal_(algorithm.backbone.conv1.weight)
    before = algorithm.teacher.backbone.conv1.weight.clone()
    algorithm.on_step_end(1.0)
    assert torch.equal(algorithm.teacher.backbone.conv1.weight, before)
